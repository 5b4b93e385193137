"""A cluster discovered from bare addresses: seconds for each host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from edxconsole.catalog.loader import load_catalog
from edxconsole.discovery.model import Discovery
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory
from tests.bench.harness import Row, median, spread
from tests.bench.stage import Stage, stand_aside
from tests.lab.settings_files import FILES, SETTINGS, put

ROUNDS = 5
MOST = 3.0
HOW = """The light cluster of `tests/lab` (web, app1, app2, data), of which nothing but addresses is told;
LMS and Studio of the app hosts have their JSON files. From the start of the engine, so with login and probe,
until a host's install, components, files and names are known; all four at the same time. The slowest host of
each of five rounds; the hosts give way (nice 10), as if they were elsewhere."""


def measure(stage: Stage) -> Iterator[Row]:
    with stage.cluster() as cluster:
        for app in (cluster.app1, cluster.app2):
            for path in FILES:
                put(app, path, SETTINGS)
        stand_aside(cluster.hosts)
        inventory = cluster.lab.inventory(cluster.hosts)
        found = [asyncio.run(_discover(inventory, stage)) for _ in range(ROUNDS)]
    slowest = [max(host.seconds for host in one.hosts.values()) for one in found]
    whole = all(host.reached and not host.missing for one in found for host in one.hosts.values())
    note = spread(slowest, "s") if whole else "not everything could be read"
    yield Row("discovery of a host", median(slowest), "s", most=MOST, note=note)


async def _discover(inventory: Inventory, stage: Stage) -> Discovery:
    async with Engine(inventory, load_catalog(), journal=stage.place()) as engine:
        return await engine.discover(30.0)
