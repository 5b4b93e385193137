"""The engine alone, from nothing to live data: `python -m tests.bench.children.live HOSTS_YAML [SECONDS]`.

Prints a JSON object: `live` s from the engine's start until every host is live with processes,
`at` time.monotonic() then. With SECONDS also `cpu`, CPU seconds of this process over
so many quiet seconds, after `cpu` had settled.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, Link
from edxconsole.engine import Engine
from edxconsole.inventory.loader import load_inventory

SETTLE = 8.0


def all_live(snapshot: ClusterSnapshot) -> bool:
    return all(host.link is Link.LIVE and host.processes for host in snapshot.hosts.values())


async def until_live(engine: Engine, limit: float = 120.0) -> None:
    """Raises TimeoutError."""
    news = asyncio.Event()
    unsubscribe = engine.subscribe(news.set)
    async with asyncio.timeout(limit):
        while not all_live(engine.snapshot):
            await news.wait()
            news.clear()
    unsubscribe()


async def main(hosts: Path, seconds: float) -> dict[str, float]:
    found: dict[str, float] = {}
    catalog = load_catalog()
    inventory = load_inventory(hosts, catalog.components)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        async with Engine(inventory, catalog, journal=Path(folder) / "journal") as engine:
            await until_live(engine)
            now = time.monotonic()
            found |= {"live": now - began, "at": now}
            if seconds:
                await engine.wait_settled(20)
                await asyncio.sleep(SETTLE)
                before, version = time.process_time(), engine.snapshot.version
                await asyncio.sleep(seconds)
                found |= {"cpu": time.process_time() - before}
                found |= {"changes": engine.snapshot.version - version}
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1]), float([*sys.argv, "0"][2])))))
