"""`edxconsole inspect`: components opened up, as they are now."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import click

from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.commands.observing import UNREACHABLE, WELL, exit_status, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, print_json
from edxconsole.engine import Engine
from edxconsole.errors import TransportError, UsageError
from edxconsole.inspect.model import Inspection, Missing, Section, Table
from edxconsole.inspect.registry import INSPECTORS, inspectable
from edxconsole.inspect.wording import is_numeric, label, said, shown

LOST = "everything"
"""what is missing when a host was lost while it was looked at"""


@click.command()
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@reading
def inspect(selectors: tuple[str, ...], hosts: Path | None, timeout: float, as_json: bool) -> int:
    """Open components up: what they are made of, what they were told, what is found.

    For nginx, lms, cms, xqueue, supervisor, the Celery workers, memcached, redis, rabbitmq, mysql,
    mongodb, elasticsearch, meilisearch, and all that runs in containers. Nothing is changed.
    Exit status: 0 nothing to look at, 1 something is, 3 a host can't be reached.
    """
    opened = open_cluster(hosts, selectors)
    snapshot, found = run(_inspect(opened, timeout))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    without = sorted(
        {
            i.component
            for h in shown
            for i in h.instances
            if i.component not in inspectable(h) and opened.means(h.name, i.component)
        }
    )
    code = exit_status(shown, any(i.findings for i in found))
    if any(m.what == LOST for i in found for m in i.missing):
        code = UNREACHABLE
    if not found and code == WELL:
        raise _nothing(selectors, without)
    if as_json:
        body = {
            "cluster": snapshot.name,
            "exit_status": code,
            "hosts": [{"name": h.name, "link": h.link.value, "reason": h.reason} for h in shown],
            "inspections": [inspection_json(i) for i in found],
            "without": without,
        }
        print_json("inspect", body)
        return code
    out = Printer()
    for inspection in found:
        _print(out, inspection)
    for sentence in silent_hosts(shown):
        out.line(sentence)
    return code


def _nothing(selectors: tuple[str, ...], without: list[str]) -> UsageError:
    if without:
        return UsageError(
            f"there is no inspector for {', '.join(without)}",
            remedy=f"there are those of {', '.join(INSPECTORS)}",
        )
    return UsageError(
        f"nothing was seen of {' '.join(selectors)}", remedy="see what runs there with `edxconsole status`"
    )


async def _inspect(opened: Opened, timeout: float) -> tuple[ClusterSnapshot, list[Inspection]]:
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(timeout)
        names = [name for name in opened.hosts if name in snapshot.hosts and snapshot.hosts[name].trusted]
        found = await asyncio.gather(*(_of_host(engine, opened, snapshot, name) for name in names))
        return snapshot, [inspection for of_host in found for inspection in of_host]


async def _of_host(engine: Engine, opened: Opened, snapshot: ClusterSnapshot, host: str) -> list[Inspection]:
    """One after the other: commands share the one session that the probe leaves."""
    found = []
    for component in inspectable(snapshot.hosts[host]):
        if opened.means(host, component):
            try:
                found.append(await engine.inspect(host, component))
            except TransportError as error:
                lost = Missing(LOST, error.cause, error.remedy or "")
                found.append(Inspection(host, component, time.time(), missing=(lost,)))
    return found


def inspection_json(found: Inspection) -> dict[str, Any]:
    """An inspection as JSON (docs/json.md)."""
    return {
        "host": found.host,
        "component": found.component,
        "at": found.at,
        "findings": [{"state": f.state.value, "text": f.text} for f in found.findings],
        "missing": [{"what": m.what, "cause": m.cause, "remedy": m.remedy} for m in found.missing],
        "sections": [_section_json(s) for s in found.sections],
    }


def _section_json(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "facts": {f.name: {"value": f.value, "source": f.source} for f in section.facts},
        "tables": {
            t.name: {"source": t.source, "rows": [dict(r) for r in t.rows], "left_out": t.left_out}
            for t in section.tables
        },
    }


def _print(out: Printer, found: Inspection) -> None:
    out.line(f"{found.component}@{found.host}")
    told: list[list[Cell | str]] = [[out.state(f.state), f.text, ""] for f in found.findings]
    for missing in found.missing:
        told.append([out.state(State.UNKNOWN, "not seen"), f"{missing.what}: {missing.cause}"])
        if missing.remedy:
            told.append(["", Cell(f"remedy: {missing.remedy}", "36")])
    if told:
        out.table(["LOOK AT", ""], [row[:2] for row in told], indent="  ")
    for section in found.sections:
        out.line()
        if section.facts:
            rows = [[label(f.name), said(f), f.source] for f in section.facts]
            out.table([label(section.name).upper(), "VALUE", "SOURCE"], rows, indent="  ")
        for table in section.tables:
            _print_table(out, table)
    out.line()


def _print_table(out: Printer, table: Table) -> None:
    if not table.rows:
        out.line(f"  no {label(table.name)} ({table.source})")
        return
    header = [(">" if is_numeric(table, c) else "") + label(c).upper() for c in table.columns]
    rows = [[shown(c, row[c]) for c in table.columns] for row in table.rows]
    out.table(header, rows, indent="  ")
    more = f"; {table.left_out} more are left out" if table.left_out else ""
    out.line(f"  by {table.source}{more}")
