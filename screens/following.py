"""Following: keeps one log pane fed by the engine, from whatever sources are wanted just now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edxconsole.errors import EdxconsoleError
from edxconsole.logs.model import LogFeed, LogSource
from screens.bridge import Bridge
from widgets.log_pane import LogPane
from widgets.pulse import Pulse

FRAMES = 12
_SETTLE = 0.2
"""seconds a cursor must rest before its logs are opened"""


class Following:
    """Owned by a screen; all methods in the screen's loop.

    Args:
        bridge: the engine.
        pane: where lines go.
        blocked: whether the terminal is behind.
        last_lines: of each source to begin with.
    """

    def __init__(
        self, bridge: Bridge, pane: LogPane, *, blocked: Callable[[], bool], last_lines: int = 100
    ) -> None:
        self._bridge = bridge
        self._pane = pane
        self._last_lines = last_lines
        self._feed = LogFeed()
        self._dropped = 0
        self._stop: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.wanted: tuple[LogSource, ...] | None = None
        self.pulse = Pulse(self.flush, fps=FRAMES, blocked=blocked)

    def want(self, sources: Sequence[LogSource], *, settle: float = _SETTLE) -> None:
        """Follow these from soon on; nothing when they are followed already."""
        fresh = tuple(sources)
        if fresh == self.wanted:
            return
        self.wanted = fresh
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._switch(fresh, settle))

    async def _switch(self, sources: tuple[LogSource, ...], settle: float) -> None:
        await asyncio.sleep(settle)
        await self._end()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.pulse.request)

        self._feed = feed = LogFeed(wake=wake)
        self._dropped = 0
        self._pane.reset(sources)
        if not sources:
            return
        try:
            self._stop = await self._bridge.ask(
                self._bridge.engine.follow(sources, feed, last_lines=self._last_lines)
            )
        except EdxconsoleError as error:
            self._pane.reason = str(error)
            self._pane.reset(())

    def flush(self) -> None:
        """Show what arrived; called by the pulse."""
        if self._feed.dropped_lines > self._dropped:
            self._pane.drop(self._feed.dropped_lines - self._dropped)
            self._dropped = self._feed.dropped_lines
        if self._pane.feed(self._feed.drain()):
            self.pulse.request()

    @property
    def busy(self) -> bool:
        """Whether logs are being opened, or lines that came are not shown yet."""
        return self.pulse.pending or (self._task is not None and not self._task.done())

    def search(self) -> None:
        """Go on with a search the pane began."""
        self.pulse.request()

    async def _end(self) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            await self._bridge.ask(_call(stop))

    def close(self) -> None:
        """Stop following; the engine forgets the feed when it ends."""
        self.pulse.stop()
        if self._task is not None:
            self._task.cancel()


async def _call(stop: Callable[[], None]) -> None:
    stop()
