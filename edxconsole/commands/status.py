"""`edxconsole status`: what runs where, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edxconsole.catalog.matching import component_of_unit
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Instance, State
from edxconsole.cluster.units import CONTAINERS
from edxconsole.commands.observing import exit_status, is_wrong, observe, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Cell, Printer, ago, count, print_json
from edxconsole.commands.plain import container_json, host_json, instance_json, problem_json
from edxconsole.logs.sources import log_sources


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reading
def status(selectors: tuple[str, ...], hosts: Path | None, timeout: float, as_json: bool) -> int:
    """What runs where, and what is wrong.

    Exit status: 0 all well, 1 something is wrong, 2 usage or inventory, 3 some host unreachable.
    """
    opened, began = open_cluster(hosts, selectors), time.time()
    snapshot = run(observe(opened, timeout))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    instances = [i for h in shown for i in h.instances if opened.means(h.name, i.component)]
    code = exit_status(shown, any(is_wrong(i.state) for i in instances) or bool(_problems(opened, snapshot)))
    if as_json:
        _print_json(opened, snapshot, shown, instances, code)
    else:
        _print(opened, snapshot, shown, instances, began)
    return code


def _problems(opened: Opened, snapshot: ClusterSnapshot) -> list[int]:
    """Indices of the problems on what was asked for; those of a host itself count for its selectors."""
    return [
        index
        for index, p in enumerate(snapshot.problems)
        if p.host in opened.hosts and (opened.means(p.host, p.component) if p.component else True)
    ]


def _print_json(
    opened: Opened,
    snapshot: ClusterSnapshot,
    shown: list[HostSnapshot],
    instances: list[Instance],
    code: int,
) -> None:
    logs: dict[tuple[str, str], list[str]] = {}
    for source in log_sources(opened.catalog, snapshot, [h.name for h in shown]):
        logs.setdefault((source.host, source.component), []).append(source.path)
    body = {
        "cluster": snapshot.name,
        "environment": snapshot.environment,
        "at": time.time(),
        "exit_status": code,
        "problems": [problem_json(snapshot.problems[i]) for i in _problems(opened, snapshot)],
        "hosts": [host_json(h) for h in shown],
        "instances": [
            instance_json(i, snapshot.hosts[i.host], logs.get((i.host, i.component), ())) for i in instances
        ],
        "containers": list(_containers(opened, shown)),
    }
    print_json("status", body)


def _containers(opened: Opened, shown: list[HostSnapshot]) -> Iterator[dict[str, Any]]:
    """Every container of a compose project that was asked for."""
    for host in shown:
        for unit in host.units.values():
            component = component_of_unit(opened.catalog, unit.kind, unit.name, unit.aliases)
            if unit.kind == CONTAINERS and opened.means(host.name, component):
                yield container_json(host.name, unit, component)


def _print(
    opened: Opened,
    snapshot: ClusterSnapshot,
    shown: list[HostSnapshot],
    instances: list[Instance],
    began: float,
) -> None:
    out = Printer()
    problems = [snapshot.problems[i] for i in _problems(opened, snapshot)]
    live = sum(h.trusted for h in shown)
    summary = f"{live} of {count(len(shown), 'host')} live, {count(len(instances), 'component')}, "
    wrong = count(len(problems), "problem") if problems else "all well"
    out.line(f"{snapshot.name}  {snapshot.environment}  {summary}{wrong}")
    if problems:
        rows: list[list[Cell | str]] = [
            [out.state(p.state), p.host, p.component, _age(p.since, began), p.text] for p in problems
        ]
        out.line()
        out.table(["PROBLEM", "HOST", "COMPONENT", ">SINCE", "WHAT"], rows)
    out.line()
    out.table(
        ["HOST", "LINK", ">LOAD", ">CPU", ">MEMORY", ">DISK", "ADDRESS"], [_host_row(out, h) for h in shown]
    )
    told = {p.host for p in problems if not p.component}
    for sentence in silent_hosts([h for h in shown if h.name not in told]):
        out.line(sentence)
    if instances:
        out.line()
        header = ["HOST", "COMPONENT", "STATE", ">WORKERS", "PORTS", ">SINCE", "WHY"]
        by_name = {h.name: h for h in shown}
        out.table(header, [_instance_row(out, i, by_name[i.host], began) for i in instances])


def _age(since: float | None, began: float) -> str:
    """How long something is so; "" when it was so when we came, because since when is not known then."""
    return ago(time.time() - since) if since is not None and since < began else ""


def _since(instance: Instance, host: HostSnapshot) -> float | None:
    """When its state changed, or when the youngest of its units was started, console clock."""
    starts = [u.since for key in instance.units if (u := host.units.get(key)) is not None and u.since]
    youngest = max(starts, default=None)
    if youngest is None:
        return instance.since
    return youngest - (host.skew or 0.0)


def _host_row(out: Printer, host: HostSnapshot) -> list[Cell | str]:
    vitals = host.vitals
    where = f"{host.user}@{host.address}" if host.user and host.address else host.address or host.transport
    if vitals is None:
        return [host.name, out.link(host.link), "", "", "", "", where]
    used = 1 - vitals.mem_available / vitals.mem_total if vitals.mem_total else 0.0
    fullest = max(vitals.disks, key=lambda d: 1 - d.free / d.total if d.total else 0.0, default=None)
    disk = f"{fullest.mount} {1 - fullest.free / fullest.total:.0%}" if fullest and fullest.total else ""
    return [
        host.name,
        out.link(host.link),
        f"{vitals.load[0]:.2f}",
        f"{vitals.cpu:.0%}",
        f"{used:.0%}",
        disk,
        where,
    ]


def _instance_row(out: Printer, instance: Instance, host: HostSnapshot, began: float) -> list[Cell | str]:
    """A row; on a host that is not live nothing is shown as up."""
    state = instance.state if host.trusted else State.UNKNOWN
    found, wanted = instance.workers_found, instance.workers_expected
    workers = "" if found is None else f"{found}/{wanted}" if wanted is not None else str(found)
    since = _age(_since(instance, host), began)
    ports = " ".join(str(p) for p in instance.ports)
    return [instance.host, instance.component, out.state(state), workers, ports, since, instance.reason]
