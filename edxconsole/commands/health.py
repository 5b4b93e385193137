"""`edxconsole health`: every health check asked now, and what each of them proves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.commands.observing import UNREACHABLE, exit_status, is_wrong, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, print_json
from edxconsole.engine import Engine
from edxconsole.errors import TransportError
from edxconsole.health.asked import Asked

Found = tuple[str, str, Asked]
"""host, component, one of its checks with the answer"""


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--extended",
    is_flag=True,
    help="Those as well that cost, e.g. /heartbeat?extended, which has a worker do a task.",
)
@reading
def health(
    selectors: tuple[str, ...], extended: bool, hosts: Path | None, timeout: float, as_json: bool
) -> int:
    """Ask every health check now: what it says, what that proves, and how often it is asked otherwise.

    Exit status: 0 all well, 1 something is wrong, 3 a host can't be reached.
    """
    opened = open_cluster(hosts, selectors)
    snapshot, found, lost = run(_ask(opened, timeout, extended))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    code = exit_status(shown, any(is_wrong(asked.evidence.state) for *_, asked in found))
    if lost:
        code = UNREACHABLE
    if as_json:
        body = {
            "cluster": snapshot.name,
            "exit_status": code,
            "hosts": [{"name": h.name, "link": h.link.value, "reason": h.reason} for h in shown],
            "checks": [_json(one) for one in found],
        }
        print_json("health", body)
        return code
    _print(found)
    out = Printer()
    for sentence in (*silent_hosts(shown), *lost):
        out.line(sentence)
    return code


async def _ask(
    opened: Opened, timeout: float, extended: bool
) -> tuple[ClusterSnapshot, list[Found], list[str]]:
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(timeout)
        names = [name for name in opened.hosts if name in snapshot.hosts and snapshot.hosts[name].trusted]
        asked = await asyncio.gather(*(_of_host(engine, opened, snapshot, n, extended) for n in names))
        return snapshot, [one for found, _ in asked for one in found], [x for _, lost in asked for x in lost]


async def _of_host(
    engine: Engine, opened: Opened, snapshot: ClusterSnapshot, host: str, extended: bool
) -> tuple[list[Found], list[str]]:
    """One component after the other; the hosts meanwhile at the same time."""
    found: list[Found] = []
    for instance in snapshot.hosts[host].instances:
        component = instance.component
        if opened.means(host, component):
            checks = engine.health_checks(host, component)
            wanted = [c for c in checks if extended or not c.spec.on_demand]
            try:
                asked = await asyncio.gather(*(engine.ask_check(host, component, c) for c in wanted))
            except TransportError as error:
                return found, [str(error)]
            found += [(host, component, one) for one in asked]
    return found, []


def _json(one: Found) -> dict[str, Any]:
    host, component, asked = one
    evidence, spec = asked.evidence, asked.check.spec
    return {
        "host": host,
        "component": component,
        "check": asked.check.name,
        "state": evidence.state.value,
        "text": evidence.text,
        "at": evidence.age.at,
        "took_seconds": asked.took,
        "level": spec.level,
        "proves": spec.meaning,
        "every_seconds": evidence.every,
        "cost": spec.cost,
    }


def _print(found: list[Found]) -> None:
    out = Printer()
    rows: list[list[Cell | str]] = []
    for host, component, asked in found:
        evidence, check = asked.evidence, asked.check
        rate = f"{evidence.every:g} s" if evidence.every is not None else "on demand"
        text = evidence.text.removeprefix(f"{check.name}: ")
        rows.append([host, component, check.name, out.state(evidence.state), rate, text])
        if check.spec.cost:
            rows.append(["", "", "", "", "", Cell(f"cost: {check.spec.cost}", "36")])
    out.table(["HOST", "COMPONENT", "CHECK", "STATE", ">EVERY", "ANSWER"], rows)
