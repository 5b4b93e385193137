"""The first change is told at once, further ones together, at most 20 times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 0.05
PATIENCE = 1.25
"""seconds that what need not be told at once may wait: a little more than the period of the probes,
so that the same drift of all hosts is told once"""


class Coalescer:
    """Calls `flush` in the running loop soon after `touch`, never twice within `interval` seconds."""

    def __init__(self, flush: Callable[[], None], interval: float = INTERVAL) -> None:
        self._flush = flush
        self._interval = interval
        self._next = 0.0
        self._pending: asyncio.TimerHandle | None = None

    def touch(self, *, patience: float = 0.0) -> None:
        """Something changed that must be told within so many seconds."""
        loop = asyncio.get_running_loop()
        due = max(self._next, loop.time() + patience)
        if self._pending is not None:
            if self._pending.when() <= due:
                return
            self._pending.cancel()
        self._pending = loop.call_at(due, self._run)

    def close(self) -> None:
        """Forget what is pending."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _run(self) -> None:
        self._pending = None
        self._next = asyncio.get_running_loop().time() + self._interval
        self._flush()
