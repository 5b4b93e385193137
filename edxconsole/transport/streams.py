"""Byte queues between an SSH library's callbacks and the coroutines that read.

One `ByteQueue` serves one direction of one channel. It either pushes back (the sender is paused
above `limit`, so memory is bounded by it plus one SSH window) or keeps only the newest bytes (for
stderr that nobody may ever read: in both SSH libraries an unread stderr stalls stdout as well).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class ByteQueue:
    """A byte stream with one reader; fed in the event loop.

    Args:
        limit: bytes held before the sender is paused, or before old bytes are dropped.
        pause, resume: called at `limit` and when half of it was read; None drops old bytes
            instead and counts them in `dropped`.
    """

    def __init__(
        self,
        limit: int = 256 * 1024,
        *,
        pause: Callable[[], None] | None = None,
        resume: Callable[[], None] | None = None,
    ) -> None:
        self.dropped = 0
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._limit = limit
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._eof = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Add bytes; may pause the sender or drop the oldest bytes."""
        if not data or self._eof:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._pause is None:
            while self._size > self._limit and len(self._chunks) > 1:
                old = self._chunks.popleft()
                self._size -= len(old)
                self.dropped += len(old)
        elif not self._paused and self._size >= self._limit:
            self._paused = True
            self._pause()
        self._wake()

    def feed_eof(self, error: Exception | None = None) -> None:
        """No more bytes will come; `error` is raised once what is held was read."""
        if not self._eof:
            self._eof = True
            self._error = error
            self._wake()

    @property
    def at_eof(self) -> bool:
        return self._eof and not self._chunks

    async def read(self, n: int = -1) -> bytes:
        """Up to n bytes (all until EOF when n is -1); b"" at EOF. Raises what ended the stream."""
        if n == 0:
            return b""
        if n < 0:
            parts = []
            while part := await self.read(256 * 1024):
                parts.append(part)
            return b"".join(parts)
        while not self._chunks and not self._eof:
            await self._wait()
        return self._take(n)

    def _take(self, n: int) -> bytes:
        if not self._chunks:
            if self._error is not None:
                raise self._error
            return b""
        parts: list[bytes] = []
        while self._chunks and n > 0:
            head = self._chunks.popleft()
            if len(head) > n:
                self._chunks.appendleft(head[n:])
                head = head[:n]
            parts.append(head)
            n -= len(head)
            self._size -= len(head)
        if self._paused and self._size <= self._limit // 2 and self._resume is not None:
            self._paused = False
            self._resume()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("a stream has one reader at a time")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Gate:
    """Lets writers through while open; `fail` makes every waiting and later `wait` raise."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._event.set()
        self._error: Exception | None = None

    def shut(self) -> None:
        self._event.clear()

    def open(self) -> None:
        self._event.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        if self._error is not None:
            raise self._error
