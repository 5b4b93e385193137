"""A host that freezes or whose packets vanish: when the model says stale, lost, and live again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import Link
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory
from tests.bench.children.live import until_live
from tests.bench.harness import Row, median, spread
from tests.bench.stage import Stage
from tests.lab.host import LabHost

OUTAGES = (10.0, 15.0, 25.0)
"""seconds, one for each host of a kind: the longer, the further apart the tries to reach it"""
HOW = """Three hosts are frozen (SIGSTOP to every process) and three cut off (iptables DROP both ways), at
the same time, for 10, 15 and 25 s; seconds by the engine's own snapshots. The worst of the three counts."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Seconds after it began (stale, lost) and after it ended (back)."""

    stale: float
    lost: float
    back: float


def measure(stage: Stage) -> Iterator[Row]:
    with stage.hosts(2 * len(OUTAGES)) as (lab, hosts):
        frozen, dropped = asyncio.run(_all(lab.inventory(), hosts, stage))
    for what, found in (("frozen host", frozen), ("unplugged host", dropped)):
        for name, most in (("stale", 3.0), ("lost", 8.0), ("back", 3.0)):
            times = [getattr(outage, name) for outage in found]
            words = "live again after its return" if name == "back" else f"shown {name}"
            yield Row(f"{what} {words}", max(times), "s", most=most, note=spread(times, "s"))
    times = [outage.back for outage in (*frozen, *dropped)]
    yield Row("live again, median of both kinds", median(times), "s", most=3.0)


async def _all(inventory: Inventory, hosts: list[LabHost], stage: Stage) -> tuple[list[Outage], list[Outage]]:
    async with Engine(inventory, load_catalog(), journal=stage.place()) as engine:
        await until_live(engine)
        await asyncio.sleep(3)
        half = len(hosts) // 2
        frozen = [_one(engine, h, h.freeze, h.thaw, s) for h, s in zip(hosts[:half], OUTAGES, strict=True)]
        dropped = [_one(engine, h, h.drop, h.undrop, s) for h, s in zip(hosts[half:], OUTAGES, strict=True)]
        found = await asyncio.gather(*frozen, *dropped)
        return found[:half], found[half:]


async def _one(
    engine: Engine, host: LabHost, begin: Callable[[], None], end: Callable[[], None], seconds: float
) -> Outage:
    await asyncio.to_thread(begin)
    began = time.monotonic()
    stale = await _until(engine, host.name, Link.STALE) - began
    lost = await _until(engine, host.name, Link.LOST, Link.BACKOFF, Link.CONNECTING) - began
    await asyncio.sleep(began + seconds - time.monotonic())
    await asyncio.to_thread(end)
    ended = time.monotonic()
    return Outage(stale, lost, await _until(engine, host.name, Link.LIVE) - ended)


async def _until(engine: Engine, host: str, *links: Link, limit: float = 60.0) -> float:
    news = asyncio.Event()
    unsubscribe = engine.subscribe(news.set)
    try:
        async with asyncio.timeout(limit):
            while engine.snapshot.hosts[host].link not in links:
                news.clear()
                await news.wait()
    finally:
        unsubscribe()
    return time.monotonic()
