"""`edxconsole supervisor`: every supervisord, its programs, and what it allows us."""

from __future__ import annotations

import time
from pathlib import Path

import click

from edxconsole.catalog.matching import component_of_unit
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, State
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.commands.observing import exit_status, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, ago, print_json
from edxconsole.commands.plain import supervisor_json, unit_json
from edxconsole.errors import EdxconsoleError
from edxconsole.services.base import Capabilities

_STATES = {
    UnitHealth.RUNNING: State.UP,
    UnitHealth.STARTING: State.DEGRADED,
    UnitHealth.STOPPING: State.DEGRADED,
    UnitHealth.STOPPED: State.ABSENT,
    UnitHealth.EXITED: State.ABSENT,
    UnitHealth.FAILED: State.DOWN,
    UnitHealth.UNKNOWN: State.UNKNOWN,
}
Abilities = dict[str, dict[str, Capabilities]]


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reading
def supervisor(selectors: tuple[str, ...], hosts: Path | None, timeout: float, as_json: bool) -> int:
    """Programs of every supervisord, and what it allows.

    A program in STOPPING can stay so for days: Celery workers finish their tasks first.
    """
    opened = open_cluster(hosts, selectors)
    snapshot, abilities = run(_look(opened, timeout))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    units = [(h, u, c) for h in shown for u, c in _programs(opened, h)]
    unreadable = any(s.error for h in shown for s in h.supervisors)
    code = exit_status(shown, unreadable or any(u.health is UnitHealth.FAILED for _, u, _ in units))
    if as_json:
        body = {
            "cluster": snapshot.name,
            "exit_status": code,
            "hosts": [{"name": h.name, "link": h.link.value, "reason": h.reason} for h in shown],
            "supervisors": [
                supervisor_json(h.name, s) | _ability_json(abilities, h.name, s.id)
                for h in shown
                for s in h.supervisors
            ],
            "programs": [unit_json(h.name, u, c) for h, u, c in units],
        }
        print_json("supervisor", body)
    else:
        _print(shown, units, abilities)
    return code


async def _look(opened: Opened, timeout: float) -> tuple[ClusterSnapshot, Abilities]:
    """The truth, and per host what each manager lets this login do; hosts that can't tell are left out."""
    abilities: Abilities = {}
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(timeout)
        for name, host in snapshot.hosts.items():
            if host.trusted and host.supervisors:
                try:
                    abilities[name] = await engine.capabilities(name)
                except EdxconsoleError:
                    abilities[name] = {}
    return snapshot, abilities


def _programs(opened: Opened, host: HostSnapshot) -> list[tuple[Unit, str]]:
    found = [
        (unit, component_of_unit(opened.catalog, unit.kind, unit.name))
        for unit in host.units.values()
        if unit.kind == "supervisor"
    ]
    return [(u, c) for u, c in found if opened.means_unit(host.name, c, u.name)]


def _ability_json(abilities: Abilities, host: str, manager: str) -> dict[str, object]:
    ability = abilities.get(host, {}).get(manager)
    if ability is None:
        return {"route": "", "verbs": [], "missing": {}, "warnings": []}
    return {
        "route": ability.route,
        "verbs": sorted(v.value for v in ability.verbs),
        "missing": {v.value: text for v, text in ability.missing.items()},
        "warnings": list(ability.warnings),
    }


def _print(
    shown: list[HostSnapshot], units: list[tuple[HostSnapshot, Unit, str]], abilities: Abilities
) -> None:
    out, now = Printer(), time.time()
    rows: list[list[Cell | str]] = []
    warnings: list[str] = []
    for host in shown:
        for info in host.supervisors:
            ability = abilities.get(host.name, {}).get(info.id)
            state = State.UNKNOWN if info.error or not host.trusted else State.UP
            may = " ".join(sorted(v.value for v in ability.verbs)) if ability else ""
            route = ability.route if ability else info.endpoint
            rows.append(
                [host.name, out.state(state, info.word), info.version, route, may or "look only", info.error]
            )
            warnings += [f"{host.name}: {text}" for text in (ability.warnings if ability else ())]
    out.table(["HOST", "SUPERVISORD", "VERSION", "SPOKEN TO BY", "YOU MAY", "ERROR"], rows)
    out.line()
    header = ["HOST", "PROGRAM", "STATE", ">PID", ">SINCE", "COMPONENT", "DETAIL"]
    out.table(header, [_row(out, h, u, c, now) for h, u, c in units])
    for text in dict.fromkeys(warnings):
        out.line(f"warning: {text}")
    for sentence in silent_hosts(shown):
        out.line(sentence)


def _row(out: Printer, host: HostSnapshot, unit: Unit, component: str, now: float) -> list[Cell | str]:
    state = _STATES[unit.health] if host.trusted else State.UNKNOWN
    since = ago(now - unit.since) if unit.since else ""
    pid = str(unit.identity.pid) if unit.identity.pid else ""
    return [host.name, unit.name, out.state(state, unit.word), pid, since, component or "-", unit.detail]
