"""Watches the containers of compose projects: by Docker's events, else by looks after changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from edxconsole.cluster.model import HostSnapshot, Process
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import EdxconsoleError, PermissionMissing, ServiceError, TransportError
from edxconsole.services.docker_client import MAX_CONTAINERS, SOCKET, DockerClient
from edxconsole.services.docker_units import MANAGER, Container, by_name
from edxconsole.services.hints import Hints
from edxconsole.transport.base import UnixEndpoint

BURST = 0.05
"""seconds in which the events of one change arrive together"""
GAP = 0.2
"""seconds at least between two looks, whatever the events say"""
MANY = 40
"""containers that changed at once above which all are read again"""
PULSE = 10.0
"""seconds without an event after which Docker is asked whether it is there"""
SHOW_EVERY = 10.0
"""seconds at least between two looks where each takes a session"""
LOOK = 60.0
"""seconds after which it looks again there, as a health check leaves no other trace"""
RETRY = (2.0, 30.0)
CALM = 1.0
"""seconds at least between two looks for a dockerd among the processes"""
SOON = 0.02


def docker_socket(snapshot: HostSnapshot) -> UnixEndpoint | None:
    """Where dockerd listens, None where none is seen: its processes tell.

    Root's dockerd, else a rootless one of the login user's own (docs.docker.com/engine/security/rootless).
    """
    seen = [p for p in snapshot.processes.values() if p.comm == "dockerd" and not p.contained]
    for process in seen:
        if process.uid == 0:
            return _told(process, SOCKET)
    for process in seen:
        if process.user == snapshot.user and snapshot.user:
            return _told(process, UnixEndpoint(f"/run/user/{process.uid}/docker.sock", snapshot.user))
    return None


def _told(process: Process, usual: UnixEndpoint) -> UnixEndpoint:
    """The first UNIX socket its -H names, else the usual one."""
    words = list(process.argv)
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        name, _, own = flag.partition("=")
        said = own if own else value
        if name in ("-H", "--host") and said.startswith("unix:///"):
            return UnixEndpoint(said.removeprefix("unix://"), usual.owner)
    return usual


class DockerWatcher:
    """Reports every container of every compose project as a unit. Implements Watcher."""

    async def run(self, host: HostPort) -> None:
        while True:
            socket = docker_socket(host.snapshot)
            if socket is not None:
                await _Watch(host, socket).run()
            elif host.snapshot.processes:
                await host.wait_change()
                await asyncio.sleep(CALM)
            else:
                # They were told already, and are published at any moment.
                await asyncio.sleep(SOON)


class _Watch:
    """The containers of one host for as long as its dockerd runs."""

    def __init__(self, host: HostPort, socket: UnixEndpoint) -> None:
        self._host = host
        self._socket = socket
        self._known: dict[str, Container] = {}
        self._shown: tuple[Unit, ...] = ()
        self._pause = RETRY[0]

    async def run(self) -> None:
        """Until dockerd is gone from the processes; what was seen is unknown whenever it is silent."""
        while docker_socket(self._host.snapshot) == self._socket:
            client = DockerClient(self._host.transport, self._socket)
            try:
                await self._follow(client)
            except (ServiceError, TransportError) as error:
                if not self._host.transport.connected:
                    raise
                self._lost(error)
            finally:
                await client.close()
            await asyncio.sleep(self._pause)
            self._pause = min(RETRY[1], self._pause * 2)

    async def _follow(self, client: DockerClient) -> None:
        await client.ping()
        if client.relayed:
            await self._by_hints(client)
        async with aclosing(client.events()) as events:
            # It listens before everything is read, so that nothing is missed in between.
            await anext(events)
            news = _News()
            reading = asyncio.create_task(news.take(events))
            try:
                await self._by_events(client, news, reading)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _by_events(self, client: DockerClient, news: _News, reading: asyncio.Task[None]) -> None:
        await self._read_all(client)
        while True:
            if not await news.came(within=PULSE, reading=reading):
                await client.ping()
                self._report()
                continue
            await asyncio.sleep(BURST)
            changed = news.taken()
            await (self._read_all(client) if len(changed) > MANY else self._read(client, changed))
            await asyncio.sleep(GAP)

    async def _by_hints(self, client: DockerClient) -> None:
        """Each stream occupies a session: look, let go, and look again after containers came or went."""
        hints = Hints(self._host)
        while True:
            await self._read_all(client)
            await client.close()
            looked = time.monotonic()
            await hints.changed(within=LOOK)
            await asyncio.sleep(max(GAP, looked + SHOW_EVERY - time.monotonic()))

    async def _read_all(self, client: DockerClient) -> None:
        self._known = {c.id: c for c in await client.containers()}
        self._pause = RETRY[0]
        self._report()
        more = f"{client.left_out} containers of compose projects beyond the first {MAX_CONTAINERS}"
        self._host.report_note(MANAGER, f"Not shown: {more}." if client.left_out else None)

    async def _read(self, client: DockerClient, idents: set[str]) -> None:
        for ident in idents:
            found = await client.container(ident)
            if found is not None and (ident in self._known or len(self._known) < MAX_CONTAINERS):
                self._known[ident] = found
            else:
                self._known.pop(ident, None)
        self._report()

    def _report(self) -> None:
        self._shown = tuple(c.unit for c in by_name(self._known.values()).values())
        self._tell()

    def _tell(self) -> None:
        at = time.time() + (self._host.snapshot.skew or 0.0)
        self._host.report_units(MANAGER, self._shown, at=at)

    def _lost(self, error: EdxconsoleError) -> None:
        """Nothing that was seen is believed any more, and why is told."""
        self._host.report_note(MANAGER, _note(error))
        why = "Docker does not answer now"
        self._shown = tuple(
            replace(u, word="unknown", health=UnitHealth.UNKNOWN, detail=why) for u in self._shown
        )
        self._tell()


class _News:
    """Which containers events named since they were last asked for: a bounded set, whatever comes."""

    def __init__(self) -> None:
        self._idents: set[str] = set()
        self._event = asyncio.Event()

    async def take(self, events: AsyncIterator[str | None]) -> None:
        """Take events in until they end by an error. A flood is read slowly: Docker waits then."""
        count = 0
        async for ident in events:
            if ident is not None and len(self._idents) <= MANY:
                self._idents.add(ident)
                self._event.set()
            count += 1
            if count % 100 == 0:
                await asyncio.sleep(0.05)

    async def came(self, *, within: float, reading: asyncio.Task[None]) -> bool:
        """Whether something changed, at most so many seconds later. Raises what ended the reading."""
        waiting = asyncio.create_task(self._event.wait())
        try:
            await asyncio.wait({waiting, reading}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if reading.done():
            reading.result()
        return self._event.is_set()

    def taken(self) -> set[str]:
        """What changed; from now on something else."""
        idents, self._idents = self._idents, set()
        self._event.clear()
        return idents


def _note(error: EdxconsoleError) -> str:
    what = "Containers are not seen" if isinstance(error, PermissionMissing) else "Containers are unknown"
    remedy = f"; {error.remedy}" if error.remedy else ""
    return f"{what}: {error.cause}{remedy}."
