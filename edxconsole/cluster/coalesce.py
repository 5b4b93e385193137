"""The first change is told at once, further ones together, at most 20 times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL = 0.05


class Coalescer:
    """Calls `flush` in the running loop soon after `touch`, never twice within `interval` seconds."""

    def __init__(self, flush: Callable[[], None], interval: float = INTERVAL) -> None:
        self._flush = flush
        self._interval = interval
        self._next = 0.0
        self._pending: asyncio.Handle | None = None

    def touch(self) -> None:
        """Something changed."""
        if self._pending is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._next - loop.time()
        self._pending = loop.call_soon(self._run) if wait <= 0 else loop.call_later(wait, self._run)

    def close(self) -> None:
        """Forget what is pending."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None

    def _run(self) -> None:
        self._pending = None
        self._next = asyncio.get_running_loop().time() + self._interval
        self._flush()
