"""Pulse: when the screen may be brought up to date. Event-driven; costs nothing while quiet.

Frames are few (a cap on their rate) and give way to keys: no frame within 100 ms of a key, but
never later than 250 ms after the last one (textual.md section 2.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

KEY_HOLD = 0.1
STARVE = 0.25
RETRY = 0.02


class Pulse:
    """Coalesces requests into calls of `flush`, at most `fps` a second. Loop thread only.

    Args:
        flush: brings the screen up to date.
        fps: the most calls a second.
        blocked: whether the terminal can't take more now; asked again after 20 ms.
    """

    def __init__(
        self, flush: Callable[[], None], *, fps: float, blocked: Callable[[], bool] = lambda: False
    ) -> None:
        self._flush = flush
        self._interval = 1 / fps
        self._blocked = blocked
        self._last = 0.0
        self._key = -STARVE
        self._timer: asyncio.TimerHandle | None = None
        self.flushes = 0

    def key(self) -> None:
        """A key was pressed: what it does comes first."""
        self._key = asyncio.get_running_loop().time()

    def request(self) -> None:
        """Something changed."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._due() - loop.time()), self._beat)

    @property
    def pending(self) -> bool:
        """Whether something changed that is not shown yet."""
        return self._timer is not None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        return max(self._last + self._interval, min(self._key + KEY_HOLD, self._last + STARVE))

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        wait = RETRY if self._blocked() else self._due() - now
        if wait > 0.001:
            self._timer = loop.call_later(wait, self._beat)
            return
        self._timer = None
        self._last = now
        self.flushes += 1
        self._flush()
