"""An engine on test hosts, and ways to wait for what it shall show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Instance
from edxconsole.cluster.session import HostSession
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory

CATALOG = load_catalog()


@dataclass(frozen=True, slots=True)
class Watched:
    """A running engine."""

    engine: Engine

    def host(self, name: str) -> HostSnapshot:
        return self.engine.snapshot.hosts[name]

    def instance(self, host: str, component: str) -> Instance | None:
        return next((i for i in self.host(host).instances if i.component == component), None)

    def session(self, host: str) -> HostSession:
        return self.engine.session(host)

    async def until(self, what: Callable[[ClusterSnapshot], bool], limit: float = 30.0) -> float:
        """Seconds until the snapshot satisfies `what`. Raises TimeoutError with the snapshot's hosts."""
        began = time.monotonic()
        news = asyncio.Event()
        stop = self.engine.subscribe(news.set)
        try:
            async with asyncio.timeout(limit):
                while not what(self.engine.snapshot):
                    news.clear()
                    await news.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {limit} s: {self.describe()}") from None
        finally:
            stop()
        return time.monotonic() - began

    def describe(self) -> str:
        lines = []
        for host in self.engine.snapshot.hosts.values():
            lines.append(f"{host.name} {host.link} {host.reason}")
            lines += [f"  {i.component} {i.state}: {i.reason}" for i in host.instances]
        return "\n".join(lines)


@asynccontextmanager
async def watched(inventory: Inventory, folder: Path, *, settle: float = 20.0) -> AsyncIterator[Watched]:
    """An engine that has settled; closed afterwards."""
    async with Engine(inventory, CATALOG, journal=folder / "journal") as engine:
        await engine.wait_settled(settle)
        yield Watched(engine)
