"""What asking every component of a cluster how it is costs the hosts, and the console."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.watcher import Watcher
from edxconsole.engine import Engine
from edxconsole.health.watcher import HealthWatcher
from edxconsole.inventory.model import Host
from tests.bench.children.live import until_live
from tests.bench.harness import Row, median
from tests.bench.resources import cpu_seconds
from tests.bench.stage import Stage
from tests.lab.cluster import LabCluster

RUNS, SECONDS, SETTLE = 3, 60.0, 10.0
HOW = """The light cluster of `tests/lab` (nginx, gunicorn, supervisor, Celery, MariaDB, memcached and Redis
are real, mongod and Elasticsearch stand-ins; a heartbeat asks MariaDB and mongod), watched by the engine
without a screen for 60 s with its health checks at their own rates, then for 60 s without them, three times.
What the kernel counted for every process of a host that lived all the while (services, sshd, probe), the
difference of both; the same of our own process, divided by the four hosts. The busiest host is `data`: the
heartbeats of both app hosts end there."""


class Unasking(Engine):
    """The same engine without its health checks."""

    def _watchers(self, host: Host) -> list[Watcher]:
        return [w for w in super()._watchers(host) if not isinstance(w, HealthWatcher)]


@dataclass(frozen=True, slots=True)
class Spent:
    """Percent of a core: by the processes of each host, and by ours."""

    hosts: dict[str, float]
    ours: float


def measure(stage: Stage) -> Iterator[Row]:
    with stage.cluster() as cluster:
        rounds = [(_spent(stage, cluster, Engine), _spent(stage, cluster, Unasking)) for _ in range(RUNS)]
    names = [host.name for host in cluster.hosts]
    more = {n: median([asked.hosts[n] - quiet.hosts[n] for asked, quiet in rounds]) for n in names}
    told = ", ".join(f"{name} {share:.2f} %" for name, share in more.items())
    mean = sum(more.values()) / len(more)
    yield Row("health checks: CPU of a host's core, mean", mean, "%", most=0.2, note=told)
    ours = median([asked.ours - quiet.ours for asked, quiet in rounds]) / len(names)
    yield Row("health checks: console CPU of a core per host", ours, "%", most=0.2)


def _spent(stage: Stage, cluster: LabCluster, kind: type[Engine]) -> Spent:
    return asyncio.run(_watch(stage, cluster, kind))


async def _watch(stage: Stage, cluster: LabCluster, kind: type[Engine]) -> Spent:
    async with kind(cluster.inventory(), load_catalog(), journal=stage.place()) as engine:
        await until_live(engine)
        await asyncio.sleep(SETTLE)
        before, ours, began = _counted(cluster), time.process_time(), time.monotonic()
        await asyncio.sleep(SECONDS)
        after, mine, took = _counted(cluster), time.process_time() - ours, time.monotonic() - began
    hosts = {
        name: 100
        * sum(seconds - before[name][pid] for pid, seconds in counted.items() if pid in before[name])
        / took
        for name, counted in after.items()
    }
    return Spent(hosts, 100 * mine / took)


def _counted(cluster: LabCluster) -> dict[str, dict[int, float]]:
    """Host -> process -> CPU seconds so far."""
    found: dict[str, dict[int, float]] = {}
    for host in cluster.hosts:
        found[host.name] = {}
        for pid in host.box.pids():
            with contextlib.suppress(OSError):
                found[host.name][pid] = cpu_seconds(pid)
    return found
