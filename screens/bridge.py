"""Bridge: what screens see of the engine, which lives in a loop and thread of its own.

The newest snapshot is read across threads without waiting; everything else is handed over as a
coroutine. Nothing here blocks the screen's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link
from edxconsole.inventory.model import Inventory
from widgets.bars import Armed
from widgets.change_list import Changes
from widgets.clock import Clock

if TYPE_CHECKING:
    from edxconsole.catalog.model import Component
    from edxconsole.engine import Engine

T = TypeVar("T")

_POLL = 0.02


class EngineHandle(Protocol):
    """What the bridge needs of edxconsole.engine.EngineThread."""

    def start(self) -> None: ...
    @property
    def engine(self) -> Engine: ...
    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]: ...
    def stop(self, timeout: float = 5.0) -> None: ...


class Bridge:
    """Held by the app, lent to every screen.

    Args:
        handle: the engine's thread, not yet started.
        inventory: which hosts, known before anything is connected.
        clock: what time it is.
        read_only: this console can't be armed.
        notice: what must be said of this cluster on every screen, e.g. what a demo only imitates.
    """

    def __init__(
        self,
        handle: EngineHandle,
        inventory: Inventory,
        clock: Clock,
        *,
        read_only: bool = False,
        notice: str = "",
    ) -> None:
        self._handle = handle
        self.read_only = read_only
        self.notice = notice
        self.inventory = inventory
        self.clock = clock
        self.titles: dict[str, str] = {}
        """of components, by their id; there once the engine is"""
        self.cluster = waiting(inventory, clock.now())
        self.changed: float | None = None
        self.changes = Changes()
        self._engine: Engine | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    @property
    def ready(self) -> bool:
        """Whether the engine is there to be asked."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError before `open` is through."""
        if self._engine is None:
            raise RuntimeError("the engine is still starting")
        return self._engine

    def component(self, name: str) -> Component | None:
        """What the catalog knows of a component; nothing before the engine is there."""
        return self._engine.catalog.get(name) if self._engine is not None else None

    async def open(self, wake: Callable[[], None]) -> None:
        """Start the engine; from then on `wake` is called in this loop after changes."""
        loop = asyncio.get_running_loop()

        def signal() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake)

        self._handle.start()
        while self._engine is None:
            try:
                self._engine = self._handle.engine
            except RuntimeError:
                await asyncio.sleep(_POLL)
        self.titles = {name: c.title for name, c in self._engine.catalog.components.items()}
        self._unsubscribe = self._engine.subscribe(signal)
        wake()

    def pull(self) -> ClusterSnapshot:
        """The newest truth, remembered as what the screens show."""
        if self._engine is not None:
            fresh = self._engine.snapshot
            if fresh is not self.cluster and fresh.version != self.cluster.version:
                self.changed = self.clock.now()
                self.changes.note(self.cluster, fresh, self.changed)
            self.cluster = fresh
        return self.cluster

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the engine in its loop; its EdxconsoleError comes back here."""
        return await asyncio.wrap_future(self._handle.submit(work))

    @property
    def armed(self) -> Armed:
        until = self._engine.armed_until if self._engine is not None else None
        return Armed(until, locked=self.read_only)

    @property
    def is_armed(self) -> bool:
        until = self.armed.until
        return until is not None and until > self.clock.monotonic()

    async def arm(self, seconds: float) -> None:
        """Allow changes for so long. Raises ReadOnly when this console may never."""
        await self.ask(_later(lambda: self.engine.arm(seconds)))

    async def disarm(self) -> None:
        await self.ask(_later(self.engine.disarm))

    async def reconnect(self, host: str) -> None:
        """Try a host again now."""
        await self.ask(_later(lambda: self.engine.reconnect(host)))

    def close(self) -> None:
        """Close every connection; may take some seconds, so after the screen is gone."""
        self._unsubscribe()
        self._handle.stop()


async def _later(call: Callable[[], object]) -> None:
    call()


def waiting(inventory: Inventory, now: float) -> ClusterSnapshot:
    """The cluster before anything was heard: every host waits for its turn."""
    hosts = {
        name: HostSnapshot(
            name=name,
            version=0,
            link=Link.WAITING,
            reason="",
            since=now,
            address=host.address or name,
            transport=host.transport,
            groups=tuple(g for g, members in inventory.groups.items() if name in members),
        )
        for name, host in inventory.hosts.items()
    }
    return ClusterSnapshot(
        version=-1, name=inventory.cluster, environment=inventory.environment, hosts=hosts, problems=()
    )
