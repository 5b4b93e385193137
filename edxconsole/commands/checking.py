"""What `edxconsole check` finds on one host, step by step from the network to the service managers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from edxconsole.cluster.model import HostSnapshot, Link, State
from edxconsole.cluster.settling import unanswered
from edxconsole.cluster.units import CONTAINERS
from edxconsole.engine import Engine
from edxconsole.errors import (
    AuthenticationFailed,
    EdxconsoleError,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    TransportError,
)
from edxconsole.inventory.model import Host, Inventory
from edxconsole.services.base import Capabilities, Verb
from edxconsole.transport.base import SilentPrompter

SUDO_TIMEOUT = 8.0
_RANK = (State.UP, State.UNKNOWN, State.ABSENT, State.DEGRADED, State.DOWN)


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of the ladder: is it so, what was found, and what to do about it."""

    subject: str
    state: State
    text: str
    remedy: str = ""

    def plain(self) -> dict[str, Any]:
        return {"check": self.subject, "state": self.state.value, "text": self.text, "remedy": self.remedy}


def worst(findings: list[Finding]) -> State:
    """The worst state of them; unknown steps alone don't count."""
    told = [f.state for f in findings if f.state is not State.UNKNOWN]
    return max(told, key=_RANK.index, default=State.UP)


async def check_host(
    engine: Engine, inventory: Inventory, host: HostSnapshot, timeout: float
) -> list[Finding]:
    """Every step for one host, after the engine had its time. Raises nothing for a host's faults."""
    entry = inventory.hosts[host.name]
    if not host.trusted:
        return await _unreached(entry, inventory, host, timeout)
    findings = [_reached(engine, host)]
    findings.append(await _sudo(engine, entry, host))
    findings += _probe(host)
    findings += await _managers(engine, entry, host)
    findings += [Finding("sight", State.DEGRADED, *_split(note)) for note in host.notes]
    return findings


def _reached(engine: Engine, host: HostSnapshot) -> Finding:
    try:
        info = engine.transport(host.name).info
    except EdxconsoleError as error:
        return Finding("reach", State.DOWN, error.cause, error.remedy or "")
    if info.kind == "local":
        return Finding("reach", State.UP, "this machine, no SSH")
    via = f" through {', '.join(info.via)}" if info.via else ""
    rtt = f", {host.rtt * 1000:.0f} ms" if host.rtt is not None else ""
    text = f"{info.user}@{info.address}{via} by {info.kind}, {info.server}{rtt}"
    return Finding("reach", State.UP, f"{text}; host key known, login accepted")


async def _unreached(entry: Host, inventory: Inventory, host: HostSnapshot, timeout: float) -> list[Finding]:
    """Try once more on a connection of its own, to know at which step it fails."""
    silence = unanswered(host)
    if silence and host.link in (Link.WAITING, Link.CONNECTING):
        return [Finding("reach", State.DOWN, *_split(silence))]
    error = await _try(entry, inventory, timeout)
    if error is None:
        text = silence or host.reason
        return [
            Finding("login", State.UP, "reached and logged in"),
            Finding("probe", State.DOWN, *_split(text)),
        ]
    findings = _steps(error)
    if entry.transport == "asyncssh" and _may_be_the_library(error):
        other = await _try(replace(entry, transport="paramiko"), inventory, timeout)
        if other is None:
            remedy = "add `transport: paramiko` to this host in hosts.yaml"
            findings.append(Finding("paramiko", State.DEGRADED, "the other SSH library gets through", remedy))
        else:
            findings.append(
                Finding("paramiko", State.UNKNOWN, f"the other SSH library fails too: {other.cause}")
            )
    return findings


async def _try(entry: Host, inventory: Inventory, timeout: float) -> EdxconsoleError | None:
    from edxconsole.transport.factory import make_transport

    transport = make_transport(entry, inventory, SilentPrompter())
    try:
        async with asyncio.timeout(timeout):
            await transport.connect()
    except EdxconsoleError as error:
        return error
    except TimeoutError:
        remedy = "see whether it is up, not frozen, and a firewall lets you through, or raise --timeout"
        return HostUnreachable(f"no answer within {timeout:g} s", host=entry.name, remedy=remedy)
    finally:
        await transport.close()
    return None


def _steps(error: EdxconsoleError) -> list[Finding]:
    """The steps that worked, up to the one that failed."""
    reached = Finding("reach", State.UP, "its SSH server answers")
    remedy = error.remedy or ""
    if isinstance(error, HostKeyUnknown | HostKeyChanged):
        return [reached, Finding("host key", State.DOWN, error.cause, remedy)]
    if isinstance(error, AuthenticationFailed):
        known = Finding("host key", State.UP, "known")
        return [reached, known, Finding("login", State.DOWN, error.cause, remedy)]
    return [Finding("reach", State.DOWN, error.cause, remedy)]


def _may_be_the_library(error: EdxconsoleError) -> bool:
    certain = (HostUnreachable, HostKeyUnknown, HostKeyChanged, AuthenticationFailed)
    return isinstance(error, TransportError) and not isinstance(error, certain)


async def _sudo(engine: Engine, entry: Host, host: HostSnapshot) -> Finding:
    """What `sudo -n -l` says, without running anything."""
    if host.user == "root":
        return Finding("sudo", State.UP, "not needed, the login is root")
    if entry.become != "sudo":
        text = "not asked for; other users' ports and logs stay hidden, system services can't be changed"
        return Finding("sudo", State.UNKNOWN, text, "add `become: sudo` to this host in hosts.yaml")
    try:
        result = await engine.transport(host.name).run(["sudo", "-n", "-l"], timeout=SUDO_TIMEOUT)
    except EdxconsoleError as error:
        return Finding("sudo", State.DEGRADED, error.cause, error.remedy or "see `edxconsole sudoers`")
    if not result.ok:
        text = f"{host.user or 'this login'} has no rule that works without a password"
        return Finding("sudo", State.DEGRADED, text, "install what `edxconsole sudoers` prints")
    rules = [line.strip() for line in result.text.splitlines() if "NOPASSWD:" in line]
    if any(rule.endswith("NOPASSWD: ALL") for rule in rules):
        return Finding("sudo", State.UP, "everything, without a password")
    return Finding("sudo", State.UP, f"{len(rules)} rules without a password")


def _probe(host: HostSnapshot) -> list[Finding]:
    cost = f", costs {host.cost.cpu:.2f} % of a core and {host.cost.rss // 1024} MiB" if host.cost else ""
    if host.shell_probe:
        remedy = "install Python 2.7 or 3.4 and later, or name one with python: in hosts.yaml"
        return [
            Finding("python", State.DEGRADED, f"none found; a shell probe sends the essentials{cost}", remedy)
        ]
    return [Finding("python", State.UP, f"Python {host.python} runs the probe{cost}")]


async def _managers(engine: Engine, entry: Host, host: HostSnapshot) -> list[Finding]:
    findings = [
        Finding("supervisord", State.DEGRADED, f"{info.config}: {info.error}", "see `edxconsole sudoers`")
        for info in host.supervisors
        if info.error
    ]
    try:
        abilities = await engine.capabilities(host.name)
    except EdxconsoleError as error:
        return [*findings, Finding("managers", State.DEGRADED, error.cause, error.remedy or "")]
    for manager, ability in abilities.items():
        findings.append(_manager(manager, ability, entry))
        findings += [Finding("warning", State.DEGRADED, text) for text in ability.warnings]
    if not abilities and not findings:
        findings.append(Finding("managers", State.UNKNOWN, "neither supervisord nor systemd was found"))
    return findings


def _manager(manager: str, ability: Capabilities, entry: Host) -> Finding:
    """Reload is no loss with supervisord, where a HUP is sent instead; what is in a container has none."""
    kind, _, place = manager.partition(":")
    name = {"supervisor": "supervisord"}.get(kind, kind)
    may = ", ".join(v.value for v in Verb if v in ability.verbs) or "look only"
    text = f"{place + ' ' if place else ''}{ability.version} by {ability.route}; you may: {may}".strip()
    no_loss = (Verb.RELOAD,) if kind in ("supervisor", CONTAINERS) else ()
    missing = {v: r for v, r in ability.missing.items() if v not in no_loss}
    if not missing:
        return Finding(name, State.UP, text)
    remedies = list(dict.fromkeys(missing.values()))
    remedy = remedies[0] if len(remedies) == 1 else "install what `edxconsole sudoers` prints"
    if entry.become is None and len(remedies) > 1:
        remedy += " and add `become: sudo` to this host in hosts.yaml"
    return Finding(name, State.DEGRADED, text, remedy)


def _split(note: str) -> tuple[str, str]:
    """A note "cause; remedy." as its two parts."""
    text, _, remedy = note.rstrip(".").partition("; ")
    return text, remedy
