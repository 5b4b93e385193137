"""Watch test hosts with the real engine, and wait for what its snapshots show."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Instance
from edxconsole.cluster.units import Unit
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory

T = TypeVar("T")


@contextlib.asynccontextmanager
async def watching(inventory: Inventory, directory: Path, *, settle: float = 40.0) -> AsyncIterator[Engine]:
    """An engine on these hosts, once it knows them. `directory` takes its journal."""
    catalog = await asyncio.to_thread(load_catalog)
    async with Engine(inventory, catalog, journal=directory / "journal") as engine:
        await engine.wait_settled(settle)
        yield engine


async def until(
    engine: Engine, seen: Callable[[ClusterSnapshot], T | None], *, within: float, what: str
) -> tuple[T, float]:
    """Wait until `seen` finds something (not None, not False); what it found, and after how many seconds.

    Raises AssertionError saying what did not come.
    """
    woken = asyncio.Event()
    unsubscribe = engine.subscribe(woken.set)
    begun = time.monotonic()
    try:
        while True:
            woken.clear()
            found = seen(engine.snapshot)
            passed = time.monotonic() - begun
            if found is not None and found is not False:
                return found, passed
            if passed > within:
                raise AssertionError(f"not within {within} s: {what}; {describe(engine.snapshot)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), 0.2)
    finally:
        unsubscribe()


def describe(snapshot: ClusterSnapshot) -> str:
    """The snapshot in a few lines, for a failed test."""
    lines = []
    for host in snapshot.hosts.values():
        states = ", ".join(f"{i.component}={i.state}({i.reason})" for i in host.instances)
        units = ", ".join(f"{u.name}={u.word}" for u in host.units.values())
        lines.append(f"{host.name}: {host.link} {host.reason} [{states}] [{units}] {'; '.join(host.notes)}")
    return "\n".join(lines)


def instance(host: HostSnapshot, component: str) -> Instance | None:
    return next((i for i in host.instances if i.component == component), None)


def unit(host: HostSnapshot, name: str) -> Unit | None:
    """The unit of this name, whoever manages it."""
    return next((u for u in host.units.values() if u.name == name), None)


def ports(host: HostSnapshot) -> set[int]:
    return {listener.port for listener in host.listeners if listener.proto.startswith("tcp")}
