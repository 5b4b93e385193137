"""`edxconsole check`: can I reach, see and control each host, and what exactly is missing?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from edxconsole.cluster.model import State
from edxconsole.commands.checking import Finding, check_host, worst
from edxconsole.commands.observing import UNREACHABLE, WELL, WRONG
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, print_json


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reading
def check(selectors: tuple[str, ...], hosts: Path | None, timeout: float, as_json: bool) -> int:
    """Can I reach, see and control each host, and what is missing?

    Nothing is changed. Exit status: 0 nothing is missing, 1 something is, 3 a host can't be reached.
    """
    opened = open_cluster(hosts, selectors)
    found = run(_check(opened, timeout))
    code = _status(found)
    if as_json:
        body = [{"name": name, "findings": [f.plain() for f in findings]} for name, findings in found.items()]
        print_json("check", {"cluster": opened.inventory.cluster, "exit_status": code, "hosts": body})
        return code
    out = Printer()
    for name, findings in found.items():
        host = opened.inventory.hosts[name]
        where = host.address or ("this machine" if host.transport == "local" else "by ssh_config")
        out.line(f"{name}  {where}")
        rows: list[list[Cell | str]] = [[out.state(f.state, f.subject), f.text] for f in findings]
        rows = [row for f, r in zip(findings, rows, strict=True) for row in (r, *_remedy(f))]
        out.table(["CHECK", "FOUND"], rows, indent="  ")
        out.line()
    return code


def _remedy(finding: Finding) -> list[list[Cell | str]]:
    return [["", Cell(f"remedy: {finding.remedy}", "36")]] if finding.remedy else []


def _status(found: dict[str, list[Finding]]) -> int:
    steps = [f for findings in found.values() for f in findings]
    if any(f.subject in ("reach", "host key", "login") and f.state is State.DOWN for f in steps):
        return UNREACHABLE
    return WRONG if any(worst(findings) is not State.UP for findings in found.values()) else WELL


async def _check(opened: Opened, timeout: float) -> dict[str, list[Finding]]:
    async with open_engine(opened) as engine:
        snapshot = await engine.wait_settled(timeout)
        shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
        findings = await asyncio.gather(*(check_host(engine, opened.inventory, h, timeout) for h in shown))
        return {host.name: list(f) for host, f in zip(shown, findings, strict=True)}
