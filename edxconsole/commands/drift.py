"""`edxconsole drift`: what differs between hosts that should be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.commands.observing import exit_status, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, count, print_json
from edxconsole.errors import UsageError
from edxconsole.inspect.drift import Difference, Drift, Role, SharedSecret, Unknown
from edxconsole.inspect.drift_run import roles_of
from edxconsole.inspect.host_ranges import fold_hosts


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reading
def drift(selectors: tuple[str, ...], hosts: Path | None, timeout: float, as_json: bool) -> int:
    """What differs between the hosts of one component: versions, code, unit files, settings.

    Secrets are compared, never shown. Nothing is changed.
    Exit status: 0 nothing differs, 1 something does, 3 a host can't be reached.
    """
    opened = open_cluster(hosts, selectors)
    snapshot, found = run(_drift(opened, timeout))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    code = exit_status(shown, found.differs)
    if as_json:
        body = {
            "cluster": snapshot.name,
            "exit_status": code,
            "hosts": [{"name": h.name, "link": h.link.value, "reason": h.reason} for h in shown],
            "roles": [_role_json(role) for role in found.roles],
            "shared_secrets": [_secret_json(s) for s in found.secrets],
        }
        print_json("drift", body)
        return code
    out = Printer()
    for role in found.roles:
        _print_role(out, role)
    _print_secrets(out, found.secrets)
    for sentence in silent_hosts(shown):
        out.line(sentence)
    return code


async def _drift(opened: Opened, timeout: float) -> tuple[ClusterSnapshot, Drift]:
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(timeout)
        expected = {name: opened.inventory.expected_on(name) for name in snapshot.hosts}
        seen = roles_of(opened.catalog, snapshot, expected)
        roles = {c: tuple(h for h in names if opened.means(h, c)) for c, names in seen.items()}
        roles = {c: names for c, names in roles.items() if names}
        if not roles and all(host.trusted for host in snapshot.hosts.values()):
            raise UsageError(
                "nothing was seen of what was asked for",
                remedy="see what runs there with `edxconsole status`",
            )
        return snapshot, await engine.drift(roles)


def _print_role(out: Printer, role: Role) -> None:
    if len(role.hosts) < 2:
        return
    out.line(f"{role.component}  {fold_hosts(role.hosts)}: {count(role.same, 'fact')} the same")
    rows: list[list[Cell | str]] = [
        [out.state(State.DEGRADED, "differs"), d.kind.replace("_", " "), d.name, d.text]
        for d in role.differences
    ]
    for unknown in role.unknown:
        said = f"{fold_hosts(unknown.hosts)}: {unknown.cause}"
        rows.append([out.state(State.UNKNOWN, "unknown"), unknown.kind.replace("_", " "), "", said])
        if unknown.remedy:
            rows.append(["", "", "", Cell(f"remedy: {unknown.remedy}", "36")])
    if rows:
        out.table(["", "FACT", "NAME", "HOSTS"], rows, indent="  ")
    if role.left_out:
        out.line(f"  {role.left_out} more are left out")
    out.line()


def _print_secrets(out: Printer, secrets: tuple[SharedSecret, ...]) -> None:
    rows: list[list[Cell | str]] = []
    for secret in secrets:
        state, word = (State.UP, "same") if secret.same else (State.DEGRADED, "differs")
        if secret.same is None:
            state, word = State.UNKNOWN, "unknown"
        rows.append([out.state(state, word), secret.text])
    if rows:
        out.table(["", "SHARED SECRET"], rows)
        out.line()


def _role_json(role: Role) -> dict[str, Any]:
    return {
        "component": role.component,
        "hosts": list(role.hosts),
        "same": role.same,
        "differences": [_difference_json(d) for d in role.differences],
        "unknown": [_unknown_json(u) for u in role.unknown],
        "left_out": role.left_out,
    }


def _difference_json(one: Difference) -> dict[str, Any]:
    groups = [{"hosts": list(g.hosts), "value": g.shown} for g in one.groups]
    return {"kind": one.kind, "name": one.name, "secret": one.secret, "text": one.text, "groups": groups}


def _unknown_json(one: Unknown) -> dict[str, Any]:
    return {"hosts": list(one.hosts), "kind": one.kind, "cause": one.cause, "remedy": one.remedy}


def _secret_json(one: SharedSecret) -> dict[str, Any]:
    return {"what": one.what, "same": one.same, "text": one.text}
