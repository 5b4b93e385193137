"""Bounded reading and writing of one short exchange with a service on a host."""

from __future__ import annotations

from edxconsole.transport.base import Stream

LIMIT = 8192
"""bytes a check ever takes from a service, unless it said otherwise"""


class Hangup(Exception):
    """The service closed the connection before it had answered."""


class Wire:
    """A stream to a service, read with a memory of what it said first."""

    def __init__(self, stream: Stream, limit: int = LIMIT) -> None:
        self._limit = limit
        self._reader = stream.reader
        self._writer = stream.writer
        self._buffer = b""
        self._taken = 0
        self.first = b""
        """the first 64 bytes the service sent"""

    @property
    def full(self) -> bool:
        """Whether the service said as much as is ever taken."""
        return self._taken >= self._limit

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def exactly(self, count: int) -> bytes:
        """`count` bytes. Raises Hangup."""
        while len(self._buffer) < count:
            await self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    async def until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`. Raises Hangup, also when the limit is reached."""
        while mark not in self._buffer:
            await self._more()
        data, _, self._buffer = self._buffer.partition(mark)
        return data + mark

    async def rest(self, count: int) -> bytes:
        """Up to `count` bytes, fewer when the service closes or the limit is reached."""
        try:
            return await self.exactly(count)
        except Hangup:
            data, self._buffer = self._buffer, b""
            return data

    async def some(self) -> bytes:
        """What came, at least one byte. Raises Hangup."""
        if not self._buffer:
            await self._more()
        data, self._buffer = self._buffer, b""
        return data

    def allow(self, limit: int) -> None:
        """From now on take so many bytes in all."""
        self._limit = limit

    async def _more(self) -> None:
        chunk = await self._reader.read(4096) if not self.full else b""
        if not chunk:
            raise Hangup
        self._taken += len(chunk)
        self._buffer += chunk
        self.first = (self.first + chunk)[:64] if len(self.first) < 64 else self.first

    def close(self) -> None:
        self._writer.close()
