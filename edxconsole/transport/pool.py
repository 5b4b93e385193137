"""What all connections of one engine share. One event loop; make it inside that loop.

- handshakes in flight: 32 over all; 8 per jump host or address, because sshd drops bursts of
  unauthenticated connections (MaxStartups 10:30:100; 64 logins at once: 26 lost, 8 at once: none);
- one connection per jump host, however many hosts are behind it;
- known_hosts parsed once, private keys decrypted once (bcrypt: 226 ms each), passwords that worked;
- a large default executor: asyncio's own has 6 threads on 2 CPUs, and 64 slow name look-ups
  take 3.3 s in it, 0.32 s in 64 threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edxconsole.inventory.model import Inventory
from edxconsole.transport.base import Prompter
from edxconsole.transport.ending import finish
from edxconsole.transport.known_hosts import KnownHosts


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers that tests lower. Seconds, counts."""

    handshakes: int = 32
    handshakes_per_place: int = 8
    resolvers: int = 8
    threads: int = 64
    login_timeout: float = 30.0
    """without the time in which a question waits for the operator"""
    keepalive_interval: float = 2.5
    keepalive_count: int = 2
    """a silent host is lost after interval x count to interval x (count + 1): 5 to 7.5 s; the
    probe's heartbeat restarts the timer, so on a live host no keepalive is ever sent"""
    sessions: int = 2
    """sessions at once per connection: works with MaxSessions 2"""
    session_wait: float = 10.0
    dropped_retries: int = 4
    dropped_pause: float = 0.5


class JumpLink(Protocol):
    """A shared connection to a jump host."""

    @property
    def alive(self) -> bool: ...
    def close(self) -> Coroutine[Any, Any, None]: ...


L = TypeVar("L", bound=JumpLink)


class Slot:
    """A place among the handshakes in flight, given back while the operator is asked."""

    def __init__(self, everywhere: asyncio.Semaphore, here: asyncio.Semaphore) -> None:
        self._semaphores = (here, everywhere)
        self._held = False

    async def take(self) -> None:
        for index, semaphore in enumerate(self._semaphores):
            try:
                await semaphore.acquire()
            except BaseException:
                for taken in self._semaphores[:index]:
                    taken.release()
                raise
        self._held = True

    def give_back(self) -> None:
        if self._held:
            self._held = False
            for semaphore in self._semaphores:
                semaphore.release()


class ConnectionPool:
    """Shared by every transport of one engine; `close()` when the engine ends.

    Args:
        inventory: where the names of jump hosts are looked up first.
        prompter: asks for secrets and about unknown host keys.
        limits: see Limits.
    """

    def __init__(self, inventory: Inventory, prompter: Prompter, *, limits: Limits | None = None) -> None:
        self.inventory = inventory
        self.prompter = prompter
        self.limits = limits or Limits()
        self.known_hosts = KnownHosts()
        self.keys: dict[Hashable, Any] = {}
        self.secrets: dict[Hashable, str] = {}
        """passwords that worked, in memory only, so that a reconnect asks nothing"""
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._everywhere = asyncio.Semaphore(self.limits.handshakes)
        self._places: dict[str, asyncio.Semaphore] = {}
        self._resolving = asyncio.Semaphore(self.limits.resolvers)
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._jumps: dict[Hashable, Any] = {}

    @property
    def executor(self) -> concurrent.futures.ThreadPoolExecutor:
        """Made the loop's default executor on first use; the loop shuts it down at its end."""
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(self.limits.threads, "transport")
            asyncio.get_running_loop().set_default_executor(self._executor)
        return self._executor

    @asynccontextmanager
    async def handshake(self, place: str) -> AsyncIterator[Slot]:
        """Wait for a turn; `place` is the jump host or address that must not see a burst."""
        here = self._places.setdefault(place, asyncio.Semaphore(self.limits.handshakes_per_place))
        slot = Slot(self._everywhere, here)
        await slot.take()
        try:
            yield slot
        finally:
            slot.give_back()

    @asynccontextmanager
    async def resolving(self) -> AsyncIterator[None]:
        async with self._resolving:
            yield

    def lock(self, name: Hashable) -> asyncio.Lock:
        """A lock by name: a passphrase, a host key, a jump host is dealt with once."""
        return self._locks.setdefault(name, asyncio.Lock())

    async def jump(self, name: Hashable, connect: Callable[[], Awaitable[L]]) -> L:
        """The shared connection to a jump host, made on first use and again when it was lost."""
        async with self.lock(("jump", name)):
            known: L | None = self._jumps.get(name)
            if known is not None and known.alive:
                return known
            if known is not None:
                await known.close()
            link = await connect()
            self._jumps[name] = link
            return link

    async def close(self) -> None:
        """Close jump connections; close the transports first. The loop ends its executor. Idempotent."""
        links: list[JumpLink] = list(self._jumps.values())
        self._jumps = {}
        for link in reversed(links):
            await finish(link.close())
        self.secrets.clear()
        self.keys.clear()


async def ask_trust(pool: ConnectionPool, host: str, address: str, kind: str, fingerprint: str) -> bool:
    """Ask about one unknown key, one question at a time."""
    async with pool.lock("prompt"):
        return await pool.prompter.trust(host, address, kind, fingerprint)


async def ask_secret(pool: ConnectionPool, host: str, prompt: str) -> str | None:
    """Ask for one secret, one question at a time."""
    async with pool.lock("prompt"):
        return await pool.prompter.secret(host, prompt)
