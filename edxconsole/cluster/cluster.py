"""All hosts together: their sessions, one snapshot of everything, and who wants to know of changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import MappingProxyType

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.attribution import Attribution
from edxconsole.cluster.coalesce import PATIENCE, Coalescer
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot
from edxconsole.cluster.problems import find_problems, keys
from edxconsole.cluster.session import HostSession, MakeTransport
from edxconsole.cluster.step import phase
from edxconsole.cluster.store import Change
from edxconsole.cluster.watcher import Watcher
from edxconsole.errors import UsageError
from edxconsole.inventory.model import Host, Inventory


class Cluster:
    """Every session of one inventory. Make it anywhere; the rest happens in the engine's loop,
    except `snapshot`, which any thread may read.

    Args:
        make: gives a fresh transport for a host.
        watchers: gives the watchers of a host.
        hosts: only these names (default all of the inventory).
    """

    def __init__(
        self,
        inventory: Inventory,
        catalog: Catalog,
        *,
        make: MakeTransport,
        watchers: Callable[[Host], list[Watcher]],
        hosts: Sequence[str] | None = None,
    ) -> None:
        self._inventory = inventory
        attribution = Attribution(catalog)
        names = list(hosts if hosts is not None else inventory.hosts)
        self.sessions = {
            name: HostSession(
                inventory.hosts[name],
                inventory,
                attribution,
                make=make,
                phase=phase(index, len(names)),
                watchers=watchers(inventory.hosts[name]),
                on_change=self._changed,
            )
            for index, name in enumerate(names)
        }
        self._dirty: set[str] = set()
        self._hosts: dict[str, HostSnapshot] = {n: s.snapshot for n, s in self.sessions.items()}
        self._first_seen: dict[str, float] = {}
        self._wakes: list[Callable[[], None]] = []
        self._coalescer = Coalescer(self._flush)
        self._news = asyncio.Event()
        self.snapshot = self._built(0)

    def start(self) -> None:
        """Begin to connect to every host; the transport's pool lets 32 at a time log in."""
        for session in self.sessions.values():
            session.start()

    async def close(self) -> None:
        """Close every connection, at the same time."""
        await asyncio.gather(*(s.close() for s in self.sessions.values()))
        self._coalescer.close()
        self._flush()

    def session(self, host: str) -> HostSession:
        """Raises UsageError for a name that is not watched."""
        if host not in self.sessions:
            raise UsageError(f"there is no host {host} here", remedy="see `edxconsole status`")
        return self.sessions[host]

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` in the engine's thread after changes; returns unsubscribe."""
        self._wakes.append(wake)

        def unsubscribe() -> None:
            if wake in self._wakes:
                self._wakes.remove(wake)

        return unsubscribe

    async def changed(self) -> None:
        """Return after the next change that was published."""
        await self._news.wait()

    def _changed(self, session: HostSession, change: Change) -> None:
        self._dirty.add(session.host.name)
        self._coalescer.touch(patience=PATIENCE if change is Change.DRIFT else 0.0)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        moved = [n for n in dirty if self.sessions[n].rebuild()]
        if not moved:
            return
        self._hosts = {n: s.snapshot for n, s in self.sessions.items()}
        self.snapshot = self._built(self.snapshot.version + 1)
        news, self._news = self._news, asyncio.Event()
        news.set()
        for wake in tuple(self._wakes):
            wake()

    def _built(self, version: int) -> ClusterSnapshot:
        now = time.time()
        found = keys(self._hosts.values())
        self._first_seen = {k: self._first_seen.get(k, now) for k in found}
        return ClusterSnapshot(
            version=version,
            name=self._inventory.cluster,
            environment=self._inventory.environment.value,
            hosts=MappingProxyType(self._hosts),
            problems=find_problems(self._hosts.values(), self._first_seen),
        )
