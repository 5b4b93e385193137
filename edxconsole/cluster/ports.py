"""What a live connection lends to watchers: HostPort, and for those that follow files, the probe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from edxconsole.cluster.model import Evidence, HostSnapshot
from edxconsole.cluster.store import Change, HostStore
from edxconsole.cluster.units import Unit
from edxconsole.cluster.watcher import HostPort
from edxconsole.probe.channel import ProbeChannel
from edxconsole.probe.frames import LogChunk
from edxconsole.transport.base import Transport

ChunkSink = Callable[[LogChunk], None]


class ProbePort(HostPort, Protocol):
    """A HostPort whose probe can be asked as well."""

    @property
    def probe(self) -> ProbeChannel: ...
    def to_console(self, host_time: float) -> float:
        """A moment of the host's clock on ours."""
        ...

    def open_chunks(self, sink: ChunkSink) -> int:
        """An id for ProbeChannel.follow whose LogChunks go to `sink`."""
        ...

    def close_chunks(self, ident: int) -> None: ...


class ChunkRoutes:
    """Which sink the chunks of which follow go to. Ids are unique within a connection."""

    def __init__(self) -> None:
        self._sinks: dict[int, ChunkSink] = {}
        self._last = 0

    def open(self, sink: ChunkSink) -> int:
        self._last += 1
        self._sinks[self._last] = sink
        return self._last

    def close(self, ident: int) -> None:
        self._sinks.pop(ident, None)

    def deliver(self, chunk: LogChunk) -> None:
        sink = self._sinks.get(chunk.id)
        if sink is not None:
            sink(chunk)


class Bell:
    """Wakes everyone who waits, each time it is rung."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class WatcherPort:
    """The port of one watcher on one connection. Implements ProbePort."""

    def __init__(
        self,
        *,
        transport: Transport,
        probe: ProbeChannel,
        store: HostStore,
        bell: Bell,
        routes: ChunkRoutes,
        snapshot: Callable[[], HostSnapshot],
        changed: Callable[[Change], None],
    ) -> None:
        self.name = store.name
        self.transport = transport
        self.probe = probe
        self.reported = False
        """whether its watcher has told units or health, or looked and waits for a change, or failed.
        A note alone does not count: it often comes before the first look."""
        self._store = store
        self._bell = bell
        self._routes = routes
        self._snapshot = snapshot
        self._changed = changed

    @property
    def snapshot(self) -> HostSnapshot:
        return self._snapshot()

    def report_units(self, manager: str, units: Iterable[Unit], *, at: float) -> None:
        self.reported = True
        self._changed(self._store.set_units(manager, units, at=at, seen=time.monotonic()))

    def report_health(self, component: str, check: str, evidence: Evidence) -> None:
        self.reported = True
        self._changed(self._store.set_health(component, check, evidence))

    def report_note(self, source: str, text: str | None) -> None:
        self._changed(self._store.set_note(source, text))

    async def wait_change(self) -> None:
        self.reported = True
        await self._bell.wait()

    def to_console(self, host_time: float) -> float:
        return self._store.clock.to_console(host_time)

    def open_chunks(self, sink: ChunkSink) -> int:
        return self._routes.open(sink)

    def close_chunks(self, ident: int) -> None:
        self._routes.close(ident)
