"""Follow what containers print into a feed, by Docker's API: restarted, replaced, disconnected and all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import cast

from edxconsole.cluster.ports import ProbePort
from edxconsole.cluster.units import CONTAINER_LOG, Identity
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import EdxconsoleError, ServiceError, ServiceFault, TransportError, UnitUnknown
from edxconsole.logs.follow import MAX_FILES, LogFollower
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from edxconsole.services.docker_client import DockerClient
from edxconsole.services.docker_streams import LogLine, LogLines, LogPlace
from edxconsole.services.docker_units import MANAGER, Container
from edxconsole.services.docker_watch import docker_socket

TICK = 1.0
"""seconds between two looks into the snapshot for containers that came back; the host is not asked"""
LOOK = 5.0
"""seconds between two reads where each takes one of the host's few sessions"""
RETRY = (1.0, 30.0)
RATE = 1 << 20
"""bytes per second that are read of one container; beyond it Docker waits, and nothing is lost"""
EACH = 200
"""bytes that a message counts for beside its own: a flood of short lines costs us as much"""
BURST = 4 << 20
"""bytes that are read at once before the rate holds"""
UNREADABLE = 501
"""HTTP status for a logging driver that can't be read"""

NO_DOCKER = "no dockerd is seen on this host"
NO_CONTAINER = "there is no such container"
REPLACED = "another container has taken its place"
STARTED = "the container was started again"
GONE = "what was printed meanwhile may be missing: Docker does not have the lines before it any more"


def followers(
    sources: Sequence[LogSource], feed: LogFeed, last_lines: int
) -> list[LogFollower | ContainerFollower]:
    """Who follows these sources of one host: files by the probe, containers by Docker."""
    contained = [s for s in sources if s.path.startswith(CONTAINER_LOG)]
    files = [s for s in sources if not s.path.startswith(CONTAINER_LOG)]
    found: list[LogFollower | ContainerFollower] = [LogFollower(files, feed, last_lines)] if files else []
    return [*found, ContainerFollower(contained, feed, last_lines)] if contained else found


@dataclass(slots=True)
class _Tail:
    """One container's output: where we are in it."""

    source: LogSource
    place: LogPlace = field(default_factory=LogPlace)
    ident: str = ""
    """of the container that was read last"""
    done: Identity | None = None
    """the run, or the end of one, of which there is nothing more to read"""
    said: str = ""
    """what was said last of not being able to read it"""
    pause: float = RETRY[0]

    @property
    def key(self) -> str:
        """Into HostSnapshot.units."""
        return f"{MANAGER}/{self.source.path.removeprefix(CONTAINER_LOG)}"


class _Pace:
    """Holds one stream to RATE, after a first BURST."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    async def read(self, count: int) -> None:
        """So many bytes were read: wait as long as that is too much."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * RATE) - count - EACH
        self._at = now
        if self._left < 0:
            # Not for every message: a wait is shorter than a timer's grain then.
            await asyncio.sleep(0.1)


class ContainerFollower:
    """Follows the output of containers of one host, connection after connection. Implements Watcher.

    Where only a relay through sudo gets to Docker's socket, each stream would take a session: there the
    logs are read one after the other every LOOK seconds, and the session is let go in between.
    """

    def __init__(self, sources: Sequence[LogSource], feed: LogFeed, last_lines: int) -> None:
        self._tails = [_Tail(source) for source in sources[:MAX_FILES]]
        self._left_out = len(sources) - len(self._tails)
        self._feed = feed
        self._last = last_lines
        self._stopped = False

    def stop(self) -> None:
        """Nothing more reaches the feed."""
        self._stopped = True

    async def run(self, host: HostPort) -> None:
        port = cast(ProbePort, host)
        if self._left_out:
            port.report_note(
                "docker logs", f"{self._left_out} containers more than the {MAX_FILES} followed at once"
            )
        try:
            while not self._stopped:
                socket = docker_socket(port.snapshot)
                if socket is None:
                    for tail in self._tails:
                        self._cant(tail, "missing", NO_DOCKER)
                    await asyncio.sleep(TICK)
                    continue
                client = DockerClient(port.transport, socket, connections=len(self._tails) + 2)
                try:
                    await self._follow(port, client)
                finally:
                    await client.close()
        finally:
            for tail in self._tails:
                if tail.ident:
                    self._put(LogBatch(tail.source, time.time(), mark="disconnected"))
                    tail.said = "disconnected"

    async def _follow(self, port: ProbePort, client: DockerClient) -> None:
        try:
            await client.ping()
        except (ServiceError, TransportError) as error:
            for tail in self._tails:
                self._failed(port, tail, error)
            await asyncio.sleep(self._tails[0].pause)
            return
        if client.relayed:
            await self._by_looks(port, client)
        reading = [asyncio.create_task(self._by_stream(port, client, tail)) for tail in self._tails]
        try:
            await asyncio.gather(*reading)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _by_stream(self, port: ProbePort, client: DockerClient, tail: _Tail) -> None:
        while not self._stopped:
            await self._step(port, client, tail, follow=True)
            await asyncio.sleep(tail.pause if tail.said else TICK)

    async def _by_looks(self, port: ProbePort, client: DockerClient) -> None:
        while not self._stopped:
            for tail in self._tails:
                await self._step(port, client, tail, follow=False)
            await client.close()
            await asyncio.sleep(LOOK)

    async def _step(self, port: ProbePort, client: DockerClient, tail: _Tail, *, follow: bool) -> None:
        """Read one container's log as far as it goes, unless there is nothing new to be read."""
        unit = port.snapshot.units.get(tail.key)
        ident = unit.identity.invocation if unit is not None else None
        if unit is None or ident is None:
            self._cant(tail, "missing", NO_CONTAINER)
            return
        if unit.identity == tail.done:
            return
        try:
            container = await client.container(ident)
            if container is not None:
                await self._read(port, client, tail, container, follow=follow)
        except UnitUnknown:
            # It was removed a moment ago; the snapshot will say so.
            return
        except (ServiceError, TransportError) as error:
            self._failed(port, tail, error, unit.identity)

    async def _read(
        self, port: ProbePort, client: DockerClient, tail: _Tail, container: Container, *, follow: bool
    ) -> None:
        new = tail.ident != container.id
        count = self._last if not tail.ident else None
        mark, why = self._entering(tail, container)
        if new:
            tail.place = LogPlace(middle=count is not None)
        if count == 0:
            await self._skip(client, tail, container)
        tail.place.resume()
        since = tail.place.since
        lines = LogLines(tty=container.tty)
        stream = client.logs(
            container.id, follow=follow, tail=None if since is not None else count, since=since
        )
        pace = _Pace()
        async with aclosing(stream) as parts:
            await anext(parts)
            tail.ident, tail.said, tail.pause = container.id, "", RETRY[0]
            if mark:
                self._put(LogBatch(tail.source, time.time(), mark=mark, why=why))
            async for part in parts:
                skipped = lines.skipped
                self._lines(port, tail, lines.take(part))
                if lines.skipped > skipped:
                    self._put(LogBatch(tail.source, time.time(), mark="gap", lost=lines.skipped - skipped))
                await pace.read(len(part))
        self._lines(port, tail, lines.end())
        if follow or container.unit.identity.pid is None:
            await self._ended(client, tail, container)

    def _entering(self, tail: _Tail, container: Container) -> tuple[str, str]:
        """The mark for another stream of it."""
        if not tail.ident:
            return "start", ""
        if tail.ident != container.id:
            return "rotated", REPLACED
        if tail.done is not None and container.unit.identity.pid is not None:
            return "back", STARTED
        return ("resumed", "") if tail.said else ("", "")

    async def _skip(self, client: DockerClient, tail: _Tail, container: Container) -> None:
        """Take the place after the last line there is, without showing it."""
        lines = LogLines(tty=container.tty)
        async with aclosing(client.logs(container.id, follow=False, tail=1)) as parts:
            async for part in parts:
                for line in lines.take(part):
                    tail.place.fresh(line)

    async def _ended(self, client: DockerClient, tail: _Tail, container: Container) -> None:
        """The stream has ended as the container has; or dockerd ended it, then another one is begun."""
        after = await client.container(container.id)
        if after is None or after.unit.identity.pid is not None:
            tail.done = None
            return
        unit = after.unit
        tail.done = unit.identity
        said = f"{unit.word}, {unit.detail}" if unit.detail else unit.word
        self._put(LogBatch(tail.source, time.time(), mark="missing", why=f"the container is {said}"))

    def _lines(self, port: ProbePort, tail: _Tail, lines: Iterator[LogLine]) -> None:
        """Hand on what is new of these lines."""
        fresh: list[LogLine] = []
        for line in lines:
            new, gap = tail.place.fresh(line)
            if gap:
                self._put(LogBatch(tail.source, time.time(), mark="gap", why=GONE))
            if new:
                fresh.append(line)
        if fresh:
            times = tuple(port.to_console(line.at / 1e9) for line in fresh)
            data = "\n".join(line.text for line in fresh) + "\n"
            self._put(LogBatch(tail.source, times[-1], data=data, times=times))

    def _failed(
        self, port: ProbePort, tail: _Tail, error: EdxconsoleError, run: Identity | None = None
    ) -> None:
        """Say why it can't be read, and when to try again. Raises the loss of the host."""
        if not port.transport.connected:
            raise error
        tail.pause = min(RETRY[1], tail.pause * 2)
        why = f"{error.cause}; {error.remedy}" if error.remedy else error.cause
        if isinstance(error, ServiceFault) and error.code == UNREADABLE:
            # Nothing will change that until it is another container, or runs anew.
            tail.done = run
            self._cant(tail, "denied", f"its logging driver keeps nothing that could be read ({why})")
            return
        self._cant(tail, "disconnected" if tail.ident else "denied", why)

    def _cant(self, tail: _Tail, mark: str, why: str) -> None:
        """Said once."""
        if tail.said != why:
            tail.said = why
            self._put(LogBatch(tail.source, time.time(), mark=mark, why=why))

    def _put(self, batch: LogBatch) -> None:
        if not self._stopped:
            self._feed.put(batch)
