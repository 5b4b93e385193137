"""At most two sessions at a time per connection, so that MaxSessions 2 is enough.

The probe holds one for as long as it lives; commands and relays take turns in the other. sshd
frees a session only when its command was reaped, a moment after we closed it, so a refusal right
after a close is tried again for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from edxconsole.errors import CommandFailed

T = TypeVar("T")
REFUSED_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


class SessionRefused(Exception):
    """The server would not open one more session."""


class SessionBudget:
    """Counts sessions of one connection.

    Args:
        host: the inventory name.
        limit: sessions at once.
        wait: seconds to wait for a free one.
    """

    def __init__(self, host: str, limit: int, wait: float) -> None:
        self._host = host
        self._limit = limit
        self._wait = wait
        self._free = asyncio.Semaphore(limit)

    async def open(self, start: Callable[[], Awaitable[T]]) -> T:
        """Take a place and start; the caller gives it back with `release`. Raises CommandFailed."""
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError:
            raise CommandFailed(
                f"its {self._limit} sessions were busy for {self._wait:g} s",
                host=self._host,
                remedy="wait for what runs there, or close a stream",
            ) from None
        try:
            return await self._started(start)
        except BaseException:
            self._free.release()
            raise

    def release(self) -> None:
        self._free.release()

    async def _started(self, start: Callable[[], Awaitable[T]]) -> T:
        for pause in REFUSED_PAUSES:
            try:
                return await start()
            except SessionRefused:
                await asyncio.sleep(pause)
        try:
            return await start()
        except SessionRefused as error:
            raise CommandFailed(
                f"sshd opened no session for a command ({error})",
                host=self._host,
                remedy="raise MaxSessions in its sshd_config to 2 at least, and permit commands",
            ) from None
