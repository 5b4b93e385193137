"""SysV init scripts as a ServiceManager and a Watcher, through `service NAME VERB`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import (
    ActFailed,
    CommandFailed,
    CommandTimedOut,
    PermissionMissing,
    ServiceUnavailable,
    UnitUnknown,
)
from edxconsole.services.base import ANY_UNIT, ActOutcome, Capabilities, Permit, Verb, no_phase
from edxconsole.services.guard import check_identity, check_permit
from edxconsole.services.hints import Hints
from edxconsole.services.sudo import allowed, rule
from edxconsole.services.sysv_status import MANAGER, SCRIPT, parse
from edxconsole.transport.base import Result, Transport

STATUS_TIMEOUT = 20.0
EVERY = 5.0
"""seconds at least between two looks, however much changes"""
PULSE = 10.0
"""seconds after which what is known is reported again"""
REFUSED_FOR = 60.0
"""seconds in which sudo is not asked again about a script that it refused"""
SERVICE = "/usr/sbin/service"
VERBS = frozenset(str(verb) for verb in Verb)
_NAME = re.compile(r"[A-Za-z0-9][\w.+@-]*")


class ScriptReader:
    """Asks init scripts how they are, as root where that is allowed.

    Args:
        transport: the host's connection.
        become: "sudo" to ask by `sudo -n service NAME status`; each may be allowed alone.
    """

    def __init__(self, transport: Transport, become: str | None = None) -> None:
        self.untold: frozenset[str] = frozenset()
        """scripts whose state only root is told, as of the last read"""
        self._transport = transport
        self._become = become or ""
        self._refused: dict[str, float] = {}

    async def read(self, patterns: tuple[str, ...]) -> dict[str, Unit]:
        """The state of the scripts that patterns name, by one command. Raises ServiceUnavailable."""
        if not patterns:
            return {}
        now = time.monotonic()
        self._refused = {name: when for name, when in self._refused.items() if when > now - REFUSED_FOR}
        asked = ["sh", "-c", SCRIPT, "edxconsole-sysv", self._become, " ".join(self._refused), *patterns]
        try:
            result = await self._transport.run(asked, timeout=STATUS_TIMEOUT)
        except CommandTimedOut as error:
            raise ServiceUnavailable(
                "an init script does not answer to status", host=self._transport.host_name
            ) from error
        answers = parse(result.text)
        self._refused = dict.fromkeys(answers.refused, now) | self._refused
        self.untold = frozenset(answers.untold)
        return answers.units

    def note(self) -> str | None:
        """What only root is told, with the remedy, in one sentence."""
        if not self.untold:
            return None
        names = sorted(self.untold)
        told = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
        line = rule(self._transport.info.user, ", ".join(f"{SERVICE} {name} status" for name in names))
        remedy = line if self._become else f"set `become: sudo` for this host in hosts.yaml and {line}"
        return f"Only root is told by their init scripts whether {told} run; {remedy}."


class SysvManager:
    """The init scripts of one host. Implements ServiceManager.

    Args:
        transport: the host's connection.
        patterns: which scripts list() gives.
        login: the login user; "root" needs no sudo.
        become: "sudo" to ask scripts as root, as hosts.yaml says.
    """

    def __init__(
        self,
        transport: Transport,
        patterns: tuple[str, ...] = (),
        *,
        login: str = "",
        become: str | None = None,
    ) -> None:
        self._transport = transport
        self._reader = ScriptReader(transport, become)
        self._patterns = patterns
        self._login = login

    @property
    def id(self) -> str:
        return MANAGER

    async def list(self) -> tuple[Unit, ...]:
        """Scripts the patterns name. Raises ServiceUnavailable."""
        return tuple((await self._reader.read(self._patterns)).values())

    async def observe(self, name: str) -> Unit:
        """One script's state, fresh. Raises UnitUnknown, ServiceUnavailable."""
        # A name becomes a pattern in the host's shell, so it must be one that matches only itself.
        found = await self._reader.read((name,)) if _NAME.fullmatch(name) else {}
        if name not in found:
            raise UnitUnknown(f"there is no init script {clean_line(name)!r}", host=self._transport.host_name)
        return found[name]

    async def capabilities(self) -> Capabilities:
        """Verbs by a look at `sudo -n -l`; a script may still know no reload."""
        verbs = frozenset(Verb)
        if self._login != "root":
            listing = await self._transport.run(["sudo", "-n", "-l"], timeout=5.0)
            verbs = frozenset(Verb(word) for word in allowed(listing.text, "service", VERBS))
        missing = {verb: self._rule(ANY_UNIT, verb) for verb in Verb if verb not in verbs}
        return Capabilities("", verbs, "service", missing)

    def command(self, name: str, verb: Verb) -> str:
        words = f"service {name} {verb}"
        return words if self._login == "root" else f"sudo -n {words}"

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        """Run the init script to its end; see ServiceManager.act.

        The script does stop and start itself: with the connection lost it still runs to its end,
        since sshd does not end a command without a terminal.

        Raises:
            NotConfirmed, IdentityDrift, UnitUnknown: nothing was done.
            PermissionMissing: sudo refused; the remedy is the rule.
            ActFailed: a status other than 0, the wrong state after it, or the deadline passed.
        """
        check_permit(permit, host=self._transport.host_name, unit=name, verb=verb)
        before = await self.observe(name)
        running = before.health is UnitHealth.RUNNING
        if (verb is Verb.START and running) or (verb is Verb.STOP and before.health is UnitHealth.STOPPED):
            return permit.outcome(f"it was {before.word} already", already=True)
        check_identity(permit, before.identity)
        result = await self._run(name, verb, deadline, permit=permit)
        after = await self.observe(name)
        wanted = UnitHealth.STOPPED if verb is Verb.STOP else UnitHealth.RUNNING
        if not result.ok or after.health is not wanted:
            said = clean_line(result.stderr.decode("utf-8", "replace") or result.text)
            raise ActFailed(
                f"service {name} {verb}: exit status {result.exit_status}, now {after.word}"
                + (f" ({said})" if said else ""),
                host=permit.host,
            )
        return permit.outcome(after.word)

    async def close(self) -> None:
        """Nothing stays open."""

    async def _run(self, name: str, verb: Verb, deadline: float, *, permit: Permit) -> Result:
        become = None if self._login == "root" else "root"
        try:
            return await self._transport.run(["service", name, str(verb)], timeout=deadline, become=become)
        except CommandFailed as error:
            # `service` is in sbin, which the login user's PATH may lack: the rule needs its full path.
            by_sudo = error.remedy is None or "NOPASSWD" in error.remedy
            remedy = self._rule(name, verb) if by_sudo else error.remedy
            raise PermissionMissing(error.cause, host=permit.host, remedy=remedy) from error
        except CommandTimedOut as error:
            raise ActFailed(
                f"service {name} {verb} did not end in {deadline:g} s", host=permit.host
            ) from error

    def _rule(self, name: str, verb: Verb) -> str:
        return rule(self._login, f"{SERVICE} {name} {verb}")


class SysvWatcher:
    """Reports init scripts: once, then after daemons changed, at most each 5 s. Implements Watcher."""

    def __init__(self, patterns: tuple[str, ...], become: str | None = None) -> None:
        self._patterns = patterns
        self._become = become

    async def run(self, host: HostPort) -> None:
        hints = Hints(host)
        reader = ScriptReader(host.transport, self._become)
        units = await reader.read(self._patterns)
        while True:
            host.report_note(MANAGER, reader.note())
            # With no daemon come or gone, what was read is as true now as then.
            host.report_units(MANAGER, units.values(), at=time.time() + (host.snapshot.skew or 0.0))
            if await hints.changed(within=PULSE):
                await asyncio.sleep(EVERY)
                units = await reader.read(self._patterns)
