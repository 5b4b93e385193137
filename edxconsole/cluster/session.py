"""One host of the cluster: connects, watches, notices silence, comes back. Never gives up by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edxconsole.cluster.attribution import Attribution
from edxconsole.cluster.backoff import Backoff, is_refusal
from edxconsole.cluster.connection import Connection, close_quietly
from edxconsole.cluster.model import HostSnapshot, Link
from edxconsole.cluster.store import Change, History, HostStore
from edxconsole.cluster.watcher import Watcher
from edxconsole.errors import ConnectionLost, EdxconsoleError, HostUnreachable
from edxconsole.inventory.model import Host, Inventory
from edxconsole.probe.launcher import launch
from edxconsole.transport.base import ConnectionInfo, Transport
from edxconsole.transport.ending import finish
from edxconsole.transport.knock import Knocking

LIVE_LONG = 10.0
"""seconds live after which a new loss starts the backoff from its beginning"""

REDIAL = 0.3
"""seconds a login in progress still has when its host is seen to return"""

KNOCK_BEYOND = 1.0
"""seconds of waiting in which a host that returns would be noticed late"""

CANCEL_AGAIN = 5.0
"""a library may swallow a cancellation, so it is repeated"""

MakeTransport = Callable[[Host], Transport]


class HostSession:
    """The life of one host in the engine. All methods in the engine's loop.

    Args:
        make: gives a fresh, unconnected transport.
        phase: when in each second its probe's samples shall arrive (see step.py).
        watchers: run on every connection beside the probe.
        on_change: told that `rebuild()` would now find something, and of what kind.
    """

    def __init__(
        self,
        host: Host,
        inventory: Inventory,
        attribution: Attribution,
        *,
        make: MakeTransport,
        phase: float,
        watchers: list[Watcher],
        on_change: Callable[[HostSession, Change], None],
    ) -> None:
        self.host = host
        self.watchers = watchers
        self.connection: Connection | None = None
        self.attempts = 0
        """connections tried so far"""
        self._make = make
        self._phase = phase
        self._attribution = attribution
        self._expected = inventory.expected_on(host.name)
        self._on_change = on_change
        self._history = History()
        self._store = self._new_store()
        self._backoff = Backoff()
        self._again = asyncio.Event()
        self._info: ConnectionInfo | None = None
        self._was_live = False
        self._lost_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._dirty = True
        self._published = False
        self.logger = logging.getLogger(f"edxconsole.host.{host.name}")
        groups = tuple(g for g, members in inventory.groups.items() if host.name in members)
        self.snapshot = HostSnapshot(
            name=host.name,
            version=0,
            link=Link.WAITING,
            reason="its turn to connect has not come",
            since=time.time(),
            address=host.address or "",
            user=host.user or "",
            transport=host.transport,
            groups=groups,
        )
        self._standing = self.snapshot

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"session {self.host.name}")

    async def close(self) -> None:
        """End everything; the last snapshot stays, as CLOSED."""
        if self._task is not None:
            await finish(_ended(self._task))
            self._task = None
        self._stand(Link.CLOSED, "the console closed the connection")

    def reconnect(self) -> None:
        """Try again now, also after a refusal; nothing happens while the host is live."""
        self._backoff.reset()
        self._again.set()

    @property
    def transport(self) -> Transport:
        """Raises ConnectionLost while there is none."""
        if self.connection is None:
            reason = self._standing.reason.rstrip(".") or self._standing.link.value
            raise ConnectionLost(f"not connected ({reason})", host=self.host.name)
        return self.connection.transport

    @property
    def gave_up(self) -> bool:
        """Whether its connection failed at least once and is not there."""
        return self._standing.link in (Link.LOST, Link.BACKOFF, Link.REFUSED, Link.CLOSED)

    @property
    def watchers_reported(self) -> bool:
        """Whether each watcher has said something on this connection."""
        connection = self.connection
        if connection is None:
            return False
        return all(w in connection.ports and connection.ports[w].reported for w in self.watchers)

    @property
    def published(self) -> bool:
        """Whether `snapshot` holds all that was reported so far, but for the drift of numbers."""
        return self._published

    def rebuild(self) -> bool:
        """Build the snapshot anew if something changed; whether it differs."""
        lost = self._lost_clause()
        new = self._store.build(self._standing, lost=lost)
        same = len(new.instances) == len(self.snapshot.instances) and all(
            a is b for a, b in zip(new.instances, self.snapshot.instances, strict=True)
        )
        if same and not self._dirty:
            return False
        self._dirty = False
        self._published = True
        self.snapshot = replace(new, version=self.snapshot.version + 1)
        return True

    def add_watcher(self, watcher: Watcher) -> None:
        """A watcher for this connection and all later ones."""
        self.watchers.append(watcher)
        if self.connection is not None:
            self.connection.add_watcher(watcher)

    def drop_watcher(self, watcher: Watcher) -> None:
        """End a watcher, now and for later connections."""
        if watcher in self.watchers:
            self.watchers.remove(watcher)
        if self.connection is not None:
            self.connection.drop_watcher(watcher)

    def asking(self, what: str) -> None:
        """The operator is being asked for a secret or about a key."""
        if not self._was_live:
            self._stand(Link.AUTHENTICATING, f"waiting for your answer: {what}")

    async def _run(self) -> None:
        while True:
            try:
                error = await self._once()
            except EdxconsoleError as caught:
                error = caught
            except Exception as bug:
                self.logger.exception("the session failed")
                error = ConnectionLost(f"{type(bug).__name__}: {bug}", remedy="see the log file")
            await self._pause(error)

    async def _once(self) -> EdxconsoleError:
        """One connection from dialling to its end; returns or raises why it ended."""
        self.attempts += 1
        if self.attempts == 1:
            self._stand(Link.CONNECTING, "connecting")
        transport = await self._connected()
        try:
            probe = await launch(transport, python=self.host.python, become=self.host.become)
        except BaseException:
            await close_quietly(transport.close(), self.logger)
            raise
        store = self._new_store()
        connection = Connection(
            transport,
            probe,
            store,
            phase=self._phase,
            snapshot=lambda: self.snapshot,
            on_change=lambda change: self._changed(store, change),
            on_silence=self._silent,
            on_ready=lambda: self._live(connection),
        )
        try:
            return await connection.run(self.watchers)
        finally:
            self.connection = None

    async def _connected(self) -> Transport:
        """A logged-in transport. Dials again when the host, away until now, begins to answer."""
        while True:
            transport = self._make(self.host)
            dialling = asyncio.create_task(self._dial(transport))
            waiting: set[asyncio.Task[Any]] = {dialling, *self._knocking(transport)}
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if not dialling.done():
                    await asyncio.wait({dialling}, timeout=REDIAL)
            except BaseException:
                await finish(self._give_up(waiting))
                raise
            if not dialling.done():
                await finish(self._give_up(waiting))
                continue
            try:
                await finish(self._give_up(waiting - {dialling}))
            except BaseException:
                await finish(self._give_up({dialling}))
                raise
            self._logged_in(dialling.result())
            return dialling.result()

    async def _give_up(self, tasks: set[asyncio.Task[Any]]) -> None:
        """End them, and close what they have connected meanwhile."""
        for task in tasks:
            task.cancel()
        for transport in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(transport, Transport):
                await close_quietly(transport.close(), self.logger)

    def _knocking(self, transport: Transport) -> set[asyncio.Task[Any]]:
        """Ends when the host, lost until now, answers again."""
        if self._info is None or not isinstance(transport, Knocking):
            return set()
        return {asyncio.create_task(transport.returned())}

    async def _dial(self, transport: Transport) -> Transport:
        try:
            await transport.connect()
        except BaseException:
            await close_quietly(transport.close(), self.logger)
            raise
        return transport

    def _logged_in(self, transport: Transport) -> None:
        info = self._info = transport.info
        self._standing = replace(self._standing, address=info.address, user=info.user, transport=info.kind)
        if not self._was_live:
            self._stand(Link.PROBING, "logged in, starting the probe")

    def _live(self, connection: Connection) -> None:
        self.connection = connection
        self._store = connection.store
        self._was_live = True
        self._lost_at = time.monotonic()
        self._stand(Link.LIVE, "")

    def _silent(self, silent: bool) -> None:
        if self.connection is None:
            return
        if silent:
            self._stand(Link.STALE, "nothing heard for over 2.5 s, what is shown may be old")
        else:
            self._stand(Link.LIVE, "")

    def _changed(self, store: HostStore, change: Change) -> None:
        if store is self._store:
            self._dirty |= bool(change)
            self._published &= change in (Change.NOTHING, Change.DRIFT)
            self._on_change(self, change)

    async def _pause(self, error: EdxconsoleError) -> None:
        """Say what happened, then wait until it is time to try again."""
        if self._standing.link in (Link.LIVE, Link.STALE):
            live_for = time.time() - self._standing.since
            self._lost_at = time.monotonic()
            if live_for > LIVE_LONG:
                self._backoff.reset()
        reason = f"{error.cause}; {error.remedy}." if error.remedy else f"{error.cause}."
        self.logger.info("%s", reason)
        self._again.clear()
        if is_refusal(error):
            self._stand(Link.REFUSED, reason)
            await self._again.wait()
            return
        self._stand(Link.LOST if self._was_live else Link.BACKOFF, reason)
        await self._wait(self._backoff.delay(error, time.monotonic() - self._lost_at), error)

    async def _wait(self, seconds: float, error: EdxconsoleError) -> None:
        """So long, or until the operator asks, or until a host that did not answer returns."""
        waiting: set[asyncio.Task[Any]] = {asyncio.create_task(self._again.wait())}
        if isinstance(error, HostUnreachable) and seconds > KNOCK_BEYOND:
            waiting |= self._knocking(self._make(self.host))
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await finish(self._give_up(waiting))

    def _stand(self, link: Link, reason: str) -> None:
        if (link, reason) == (self._standing.link, self._standing.reason):
            return
        since = self._standing.since if link is self._standing.link else time.time()
        self._standing = replace(self._standing, link=link, reason=reason, since=since)
        self._store.recompute()
        self._dirty = True
        self._published = False
        self._on_change(self, Change.SHAPE)

    def _lost_clause(self) -> str:
        if self._standing.link in (Link.LIVE, Link.STALE) or not self._was_live:
            return ""
        return f"the host is {self._standing.link.value}"

    def _new_store(self) -> HostStore:
        return HostStore(self.host.name, self._attribution, self._expected, self._history)


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel until it has ended."""
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_AGAIN)
    await asyncio.gather(task, return_exceptions=True)
