"""`edxconsole discover`: how each host was installed, what runs there, whom its files name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edxconsole.cluster.model import State
from edxconsole.commands.host_spec import open_hosts
from edxconsole.commands.observing import UNREACHABLE, WELL, WRONG
from edxconsole.commands.opening import Opened, open_cluster, open_engine
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, count, print_json
from edxconsole.discovery.expect import install_text
from edxconsole.discovery.model import Discovery, Edge, FoundHost, Install, Running, Verdict
from edxconsole.errors import UsageError

_STATES = {
    Verdict.RUNS: State.UP,
    Verdict.AMISS: State.DOWN,
    Verdict.ABSENT: State.UNKNOWN,
    Verdict.OUTSIDE: State.UNKNOWN,
    Verdict.UNKNOWN: State.UNKNOWN,
}


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--at",
    multiple=True,
    metavar="HOST",
    help="Look at a host of no inventory, given as for `init`; may be repeated.",
)
@click.option("--sudo", is_flag=True, help="With --at: use `sudo -n` there for what needs it.")
@reading
def discover(
    selectors: tuple[str, ...],
    at: tuple[str, ...],
    sudo: bool,
    hosts: Path | None,
    timeout: float,
    as_json: bool,
) -> int:
    """How each host was installed, what runs there, whom its files name, and where that disagrees.

    Reads configuration files (lms.yml, *.env.json, nginx, Tutor's); endpoints alone are kept of them.
    Exit status: 0 all agrees, 1 something does not, 2 usage or inventory, 3 some host unreachable.
    """
    if at and (selectors or hosts):
        raise UsageError("--at is for hosts of no inventory", remedy="leave SELECTOR and --hosts out")
    if sudo and not at:
        raise UsageError("--sudo is for --at", remedy="write become: sudo in hosts.yaml")
    opened = open_hosts(at, sudo=sudo) if at else open_cluster(hosts, selectors)
    found = run(discovered(opened, timeout))
    code = status_of(found)
    if as_json:
        print_json(
            "discover", {"cluster": opened.inventory.cluster, "exit_status": code} | _json(opened, found)
        )
    else:
        _print(Printer(), opened, found)
    return code


async def discovered(opened: Opened, timeout: float) -> Discovery:
    """A discovery of the hosts that were asked for."""
    async with open_engine(opened) as engine:
        return await engine.discover(timeout)


def status_of(found: Discovery) -> int:
    """3 when a host was not reached, 1 when something disagrees, else 0."""
    if any(not host.reached for host in found.hosts.values()):
        return UNREACHABLE
    return WRONG if found.topology.disagreements else WELL


def _edges(opened: Opened, found: Discovery) -> list[Edge]:
    """Those of what was asked for."""
    wanted = [e for e in found.topology.edges if opened.means(e.host, e.component)]
    return sorted(wanted, key=lambda e: (list(found.hosts).index(e.host), e.component, e.endpoint))


def _json(opened: Opened, found: Discovery) -> dict[str, Any]:
    return {
        "hosts": [_host_json(opened, host) for host in found.hosts.values()],
        "edges": [_edge_json(edge) for edge in _edges(opened, found)],
        "disagreements": list(found.topology.disagreements),
        "unknowns": list(found.topology.unknowns),
    }


def _host_json(opened: Opened, host: FoundHost) -> dict[str, Any]:
    return {
        "name": host.name,
        "reached": host.reached,
        "reason": host.reason,
        "seconds": round(host.seconds, 3),
        "addresses": sorted(host.addresses),
        "installs": [_install_json(install) for install in host.installs],
        "running": [_running_json(r) for r in host.running if opened.means(host.name, r.component)],
        "idle": [
            {"component": i.component, "reason": i.reason}
            for i in host.idle
            if opened.means(host.name, i.component)
        ],
        "configs": [
            {
                "path": c.path,
                "in_force": c.in_force,
                "why": c.why,
                "project": c.project,
                "endpoints": len(c.claims),
            }
            for c in host.configs
        ],
        "missing": [{"what": m.what, "cause": m.cause, "remedy": m.remedy} for m in host.missing],
    }


def _install_json(install: Install) -> dict[str, Any]:
    return {
        "kind": install.kind.value,
        "release": install.release,
        "evidence": list(install.evidence),
        "project": install.project,
        "root": install.root,
        "contradiction": install.contradiction,
    }


def _running_json(running: Running) -> dict[str, Any]:
    return {
        "component": running.component,
        "by": list(running.by),
        "lasting": running.lasting,
        "state": running.instance.state.value,
        "units": list(running.instance.units),
        "pids": list(running.instance.pids),
        "ports": list(running.instance.ports),
    }


def _edge_json(edge: Edge) -> dict[str, Any]:
    return {
        "host": edge.host,
        "component": edge.component,
        "endpoint": edge.endpoint,
        "sources": [{"path": path, "key": key} for path, key in edge.sources],
        "target": edge.target,
        "verdict": edge.verdict.value,
        "text": edge.text,
    }


def _print(out: Printer, opened: Opened, found: Discovery) -> None:
    for host in found.hosts.values():
        _print_host(out, opened, host)
    edges = _edges(opened, found)
    if edges:
        rows = [_edge_row(out, edge) for edge in edges]
        out.table(["HOST", "IS TOLD OF", "AT", "ON", "FOUND", "WHY"], rows)
        out.line()
    for title, sentences in (
        ("DISAGREES", found.topology.disagreements),
        ("NOT KNOWN", found.topology.unknowns),
    ):
        if sentences:
            out.table([title], [[sentence] for sentence in sentences])
            out.line()


def _edge_row(out: Printer, edge: Edge) -> list[Cell | str]:
    found = out.state(_STATES[edge.verdict], edge.verdict.value)
    why = f"{edge.text} ({_sources(edge)})"
    return [edge.host, edge.component or "?", edge.endpoint, edge.target or "", found, why]


def _print_host(out: Printer, opened: Opened, host: FoundHost) -> None:
    if not host.reached:
        out.line(f"{host.name}: not reached")
        out.line()
        return
    out.line(f"{host.name}  {host.seconds:.1f} s")
    out.table(["INSTALLED"], [[install_text(install)] for install in host.installs], indent="  ")
    rows: list[list[Cell | str]] = [
        [r.component, ", ".join(r.by) or "no manager", _some(r.instance.pids), _some(r.instance.ports)]
        for r in host.running
        if opened.means(host.name, r.component)
    ]
    if rows:
        out.table(["RUNS", "BY", "PIDS", "PORTS"], rows, indent="  ")
    stale = [[c.path, c.why] for c in host.configs if not c.in_force]
    if stale:
        out.table(["NOT IN FORCE", "WHY"], stale, indent="  ")
    out.line()


def _some(numbers: tuple[int, ...]) -> str:
    shown = " ".join(str(n) for n in numbers[:4])
    return f"{shown} and {len(numbers) - 4} more" if len(numbers) > 4 else shown


def _sources(edge: Edge) -> str:
    path, key = edge.sources[0]
    more = len(edge.sources) - 1
    return f"{path} {key}" + (f" and {count(more, 'place')} more" if more else "")
