"""The containers a component runs in: what Docker tells of them, and what they use now.

Nothing of this is watched: Docker measures for a second or two per container, only when one is looked at.
Where it can't read the cgroups of its kernel it answers without a number (seen with dockerd 20.10.24 and
26.1.5 on cgroup v1 of Linux 6.18); what the probe knows of the processes is told then.
"""

from __future__ import annotations

import asyncio

from edxconsole.cluster.listening import descends
from edxconsole.cluster.model import HostSnapshot
from edxconsole.cluster.restarts import LOOP
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth
from edxconsole.inspect.model import NONE
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.sight import Sight
from edxconsole.services.docker_client import DockerClient
from edxconsole.services.docker_stats import Usage
from edxconsole.services.docker_watch import docker_socket

SOURCE = "Docker"
MOST = 8
"""containers of one component that are measured"""


def containers_of(sight: Sight) -> list[Unit]:
    """The containers of the instance, as last seen."""
    keys = sight.instance.units if sight.instance else ()
    units = (sight.host.units.get(key) for key in keys)
    return [unit for unit in units if unit is not None and unit.kind == CONTAINERS]


async def inspect_container(sight: Sight, report: Report) -> None:
    """State, health, restarts, exit and use of each container of this component."""
    socket, units = docker_socket(sight.host), containers_of(sight)
    if socket is None or not units:
        return
    parts = {unit.name: report.part(f"container {unit.name}") for unit in units}
    for unit in units:
        _tell(unit, parts[unit.name], report)
    running = [unit for unit in units if unit.identity.pid is not None][:MOST]
    client = DockerClient(sight.transport, socket)
    try:
        await report.attempt("what its containers use", client.ping())
        slots = asyncio.Semaphore(1 if client.relayed else 4)

        async def measure(unit: Unit) -> None:
            async with slots:
                used = await report.attempt(
                    f"what {unit.name} uses", client.stats(unit.identity.invocation or "")
                )
            if used is not None:
                _usage(used, unit, sight.host, parts[unit.name])

        await asyncio.gather(*(measure(unit) for unit in running))
    finally:
        await client.close()


def _tell(unit: Unit, part: Part, report: Report) -> None:
    told = unit.container
    part.facts(SOURCE, state=unit.word, detail=unit.detail or NONE, since_at=unit.since)
    if told is None:
        return
    part.facts(
        SOURCE,
        id=told.id,
        image=told.image,
        pid=unit.identity.pid or NONE,
        health=told.health or NONE,
        exit_code=NONE if told.exit_code is None else told.exit_code,
        oom_killed=told.oom_killed,
        restarts=told.restarts,
        restart_policy=told.policy,
    )
    if told.oom_killed:
        report.degraded(f"{unit.name}: the kernel killed a process of it, as memory ran out")
    if told.status == "restarting" or (told.restarts >= LOOP and unit.health is not UnitHealth.STOPPED):
        report.degraded(f"{unit.name}: Docker has restarted it {told.restarts} times")


def _usage(used: Usage, unit: Unit, host: HostSnapshot, part: Part) -> None:
    if used != Usage():
        part.facts(
            f"{SOURCE}, stats",
            cpu_percent=used.cpu,
            memory_bytes=used.memory,
            memory_limit_bytes=used.memory_limit,
            processes=used.pids,
        )
        return
    main = unit.identity.pid or 0
    inside = [p for p in host.processes.values() if descends(p.pid, main, host.processes)]
    if inside:
        part.facts(
            "its processes in /proc, as Docker measures nothing",
            cpu_percent=round(sum(p.cpu for p in inside), 2),
            resident_bytes=sum(p.rss for p in inside) * 1024,
            processes=len(inside),
        )
