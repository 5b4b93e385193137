"""Follow log files on one host into a feed: globs, rotations, lost connections and all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from edxconsole.cluster.ports import ProbePort
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import EdxconsoleError
from edxconsole.logs.lines import LineKeeper
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from edxconsole.probe.frames import LogChunk

RESCAN = 15.0
"""seconds between two looks for new files that a glob names"""
MAX_FILES = 64
"""files followed per host and follower"""
_GLOB = frozenset("*?[")


class LogFollower:
    """Follows sources of one host, connection after connection. Implements Watcher.

    Positions survive a lost connection: the next one goes on at (device, inode, offset), with
    the marks `disconnected` and `resumed`, or `gap` with the bytes that are gone.
    """

    def __init__(self, sources: Sequence[LogSource], feed: LogFeed, last_lines: int) -> None:
        self._sources = tuple(sources)
        self._feed = feed
        self._last = last_lines
        self._files: dict[str, LineKeeper] = {}
        self._stopped = False

    def stop(self) -> None:
        """Nothing more reaches the feed."""
        self._stopped = True

    async def run(self, host: HostPort) -> None:
        port = cast(ProbePort, host)
        following: dict[str, int] = {}
        try:
            while not self._stopped:
                await self._follow_new(port, following)
                await asyncio.sleep(RESCAN)
        finally:
            for ident in following.values():
                port.close_chunks(ident)
            await self._leave(port, following)

    async def _follow_new(self, port: ProbePort, following: dict[str, int]) -> None:
        wanted = [s for source in self._sources for s in await self._resolve(port, source)]
        fresh = {s.path: s for s in wanted if s.path not in following}
        room = max(0, MAX_FILES - len(following))
        if len(fresh) > room:
            port.report_note(
                "logs", f"{len(fresh) - room} log files more than the {MAX_FILES} followed at once"
            )
        await asyncio.gather(*(self._follow(port, s, following) for s in list(fresh.values())[:room]))

    async def _resolve(self, port: ProbePort, source: LogSource) -> list[LogSource]:
        """The files a glob names on the host now; a plain path even when it does not exist yet."""
        if not _GLOB & set(source.path):
            return [source]
        reply = await port.probe.glob(source.path)
        found = reply.value if isinstance(reply.value, list) else []
        paths = [f["path"] for f in found if isinstance(f, Mapping) and isinstance(f.get("path"), str)]
        return [replace(source, path=p, name=_name_of(source, p, len(paths))) for p in paths]

    async def _follow(self, port: ProbePort, source: LogSource, following: dict[str, int]) -> None:
        keeper = self._files.setdefault(source.path, LineKeeper(source))
        ident = port.open_chunks(self._sink(port, keeper))
        following[source.path] = ident
        position = keeper.position
        reply = await port.probe.follow(
            source.path,
            id=ident,
            last=None if position else self._last,
            resume=position,
            before=keeper.before,
        )
        if reply.error:
            port.report_note("logs", f"{clean_line(source.path)} can't be followed: {reply.error}")

    def _sink(self, port: ProbePort, keeper: LineKeeper) -> Callable[[LogChunk], None]:
        def take(chunk: LogChunk) -> None:
            for batch in keeper.take(chunk, port.to_console(chunk.t)):
                self._put(batch)

        return take

    async def _leave(self, port: ProbePort, following: Mapping[str, int]) -> None:
        """End the follows on the host; when the connection is gone, say so in the feed."""
        if not self._stopped:
            for path in following:
                self._put(self._files[path].disconnected(time.time()))
            return
        for ident in following.values():
            try:
                await port.probe.unfollow(ident)
            except EdxconsoleError:
                return

    def _put(self, batch: LogBatch) -> None:
        if not self._stopped:
            self._feed.put(batch)


def _name_of(source: LogSource, path: str, count: int) -> str:
    """Files of one glob are told apart by their own names."""
    return source.name if count == 1 else path.rpartition("/")[2]
