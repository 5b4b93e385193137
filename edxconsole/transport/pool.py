"""What all connections of one engine share. One event loop; make it inside that loop.

- handshakes in flight: 32 over all, from the host's greeting on; 8 connections per sshd, because it
  drops bursts of unauthenticated ones (MaxStartups 10:30:100; 64 at once: 26 lost, 8 at once: none);
- one connection per jump host, however many hosts are behind it;
- known_hosts parsed once, private keys decrypted once (bcrypt: 226 ms each), passwords that worked;
- a large default executor: asyncio's own has 6 threads on 2 CPUs, and 64 slow name look-ups
  take 3.3 s in it, 0.32 s in 64 threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edxconsole.errors import TransportError
from edxconsole.inventory.model import Inventory
from edxconsole.transport.base import Prompter
from edxconsole.transport.ending import finish
from edxconsole.transport.known_hosts import KnownHosts
from edxconsole.transport.ssh_cache import SshConfigCache


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
    @property
    def lost(self) -> asyncio.Future[str]: ...
    def close(self) -> Coroutine[Any, Any, None]: ...


L = TypeVar("L", bound=JumpLink)


class Slot:
    """A place among the connections to one sshd, held from dialing on, and a turn among all
    handshakes, taken when the host has greeted: a dead or frozen one holds up nobody else.
    Both are given back while the operator is asked."""

    def __init__(self, everywhere: asyncio.Semaphore, here: asyncio.Semaphore) -> None:
        self._here = here
        self._everywhere = everywhere
        self._held: list[asyncio.Semaphore] = []

    async def arrive(self) -> None:
        """Take the place."""
        await self._hold(self._here)

    async def take(self) -> None:
        """Take the turn, and the place if it was given back."""
        await self._hold(self._here)
        await self._hold(self._everywhere)

    def give_back(self) -> None:
        held, self._held = self._held, []
        for semaphore in held:
            semaphore.release()

    async def _hold(self, semaphore: asyncio.Semaphore) -> None:
        if semaphore not in self._held:
            await semaphore.acquire()
            self._held.append(semaphore)


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
        self._places: dict[Hashable, asyncio.Semaphore] = {}
        self._resolving = asyncio.Semaphore(self.limits.resolvers)
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._jumps: dict[Hashable, Any] = {}
        self._failures: dict[Hashable, tuple[float, TransportError]] = {}
        self._strays: set[asyncio.Future[Any]] = set()
        self.ssh_config = SshConfigCache()

    @property
    def executor(self) -> concurrent.futures.ThreadPoolExecutor:
        """Made the loop's default executor on first use; the loop shuts it down at its end."""
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(self.limits.threads, "transport")
            asyncio.get_running_loop().set_default_executor(self._executor)
        return self._executor

    @asynccontextmanager
    async def handshake(self, place: Hashable) -> AsyncIterator[Slot]:
        """Wait for a place at one sshd, which must not see a burst; the turn is `Slot.take`."""
        here = self._places.setdefault(place, asyncio.Semaphore(self.limits.handshakes_per_place))
        slot = Slot(self._everywhere, here)
        try:
            await slot.arrive()
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
        asked = time.monotonic()
        async with self.lock(("jump", name)):
            known: L | None = self.standing(name)
            if known is not None:
                return known
            when, failure = self._failures.get(name, (0.0, None))
            if failure is not None and when > asked:
                # Those who waited for this attempt share its end: one refused login, not one for each.
                raise failure
            try:
                link = await connect()
            except TransportError as error:
                self._failures[name] = (time.monotonic(), error)
                raise
            self._jumps[name] = link
            link.lost.add_done_callback(lambda _: self._drop(name, link))
            return link

    def standing(self, name: Hashable) -> Any | None:
        """The shared connection to a jump host, if there is one."""
        link = self._jumps.get(name)
        return link if link is not None and link.alive else None

    def _drop(self, name: Hashable, link: JumpLink) -> None:
        """A jump connection that ended is closed and forgotten at once."""
        if self._jumps.get(name) is link:
            del self._jumps[name]
            self.look_after(asyncio.ensure_future(link.close()))

    def look_after(self, work: asyncio.Future[Any]) -> None:
        """Something that ends by itself, at the latest when the jump connections are closed."""
        self._strays.add(work)
        work.add_done_callback(self._stray_ended)

    def _stray_ended(self, work: asyncio.Future[Any]) -> None:
        self._strays.discard(work)
        if not work.cancelled():
            work.exception()

    async def close(self) -> None:
        """Close jump connections; close the transports first. The loop ends its executor. Idempotent."""
        links: list[JumpLink] = list(self._jumps.values())
        self._jumps = {}
        for link in reversed(links):
            await finish(link.close())
        if self._strays:
            await asyncio.wait(self._strays, timeout=5)
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
