"""What logging in is, whichever library speaks: turns, retries, jump hosts, a fair clock.

sshd drops bursts of unauthenticated connections without a word (MaxStartups), so a hang-up before
login is tried again a few times with jitter; a refused key or password never is (OpenSSH 9.8
locks an address out for that).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

from edxconsole.errors import (
    AuthenticationFailed,
    HandshakeDropped,
    HostUnreachable,
    InventoryError,
    TransportError,
)
from edxconsole.transport.dial import Pipe
from edxconsole.transport.knock import port_answers, proxy_greets
from edxconsole.transport.pool import ConnectionPool, JumpLink, Slot, ask_secret
from edxconsole.transport.ssh_resolve import Target, resolve, resolve_jump

MAX_JUMPS = 8
L = TypeVar("L", bound=JumpLink)


Opener = Callable[[ConnectionPool, Target, tuple[str, ...]], Awaitable[L]]
"""Opens a connection; the last argument are the jump hosts on the way."""


class LoginClock:
    """Limits a login's time, without the time in which the operator is asked.

    While a question waits the handshake slot is given back, so that others can log in.
    """

    def __init__(self, pool: ConnectionPool, target: Target, slot: Slot) -> None:
        self.asked = False
        self.declined = False
        self._pool = pool
        self._target = target
        self._slot = slot
        self._limit: asyncio.Timeout | None = None

    def running(self) -> asyncio.Timeout:
        """A context manager that raises TimeoutError."""
        self._limit = asyncio.timeout(self._pool.limits.login_timeout)
        return self._limit

    async def ask(self, prompt: str) -> str | None:
        self._slot.give_back()
        self._reschedule(None)
        try:
            answer = await ask_secret(self._pool, self._target.name, prompt)
        finally:
            await self._slot.take()
            self.restart()
        self.asked = True
        self.declined = answer is None
        return answer

    def restart(self) -> None:
        """Count from now."""
        self._reschedule(asyncio.get_running_loop().time() + self._pool.limits.login_timeout)

    def _reschedule(self, when: float | None) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(when)

    def denied(self, text: str) -> AuthenticationFailed:
        """Why nobody was let in."""
        target = self._target
        if "Too many" in text:
            cause = "too many keys were offered"
            remedy = "set IdentitiesOnly and IdentityFile for it in ssh_config"
        elif self.declined:
            cause, remedy = "no key was accepted and the question was declined", "give a key or a password"
        elif self.asked:
            cause, remedy = "the answer was not accepted", "try again with the right one"
        else:
            files = " or ".join(str(p) for p in target.identity_files[:2]) or "its IdentityFile"
            cause = "no key was accepted"
            remedy = f"see that the user is right and that its key is in the agent or in {files}"
        return AuthenticationFailed(
            f"{target.user}@{target.address}: {cause}", host=target.name, remedy=remedy
        )


async def open_patiently(
    pool: ConnectionPool, target: Target, attempt: Callable[[], Awaitable[L | None]]
) -> L:
    """`attempt` until there is a link; None means that a key was just accepted.

    Retries HandshakeDropped only, a few times, with jitter.
    """
    limits = pool.limits
    pool.executor  # noqa: B018 - makes it the loop's default before the first name look-up
    accepted = dropped = 0
    while True:
        try:
            link = await attempt()
        except HandshakeDropped:
            dropped += 1
            if dropped > limits.dropped_retries:
                raise
            await asyncio.sleep(random.uniform(0.2, 1) * limits.dropped_pause * 2**dropped)
            continue
        if link is not None:
            return link
        accepted += 1
        if accepted > 1:
            raise TransportError("the host key changed while it was being accepted", host=target.name)


async def shared_jump(
    pool: ConnectionPool, kind: str, target: Target, seen: tuple[str, ...], opener: Opener[L]
) -> L | None:
    """The shared connection to the last jump host before the target, or None without one."""
    if not target.jumps:
        return None
    spec = target.jumps[-1]
    if len(seen) >= MAX_JUMPS or spec in seen:
        raise InventoryError(f"its jump hosts go in a circle: {' -> '.join((*seen, spec))}", host=target.name)
    jump = await jump_target(pool, target)

    async def connect() -> L:
        return await opener(pool, jump, (*seen, spec))

    try:
        link: L = await pool.jump(jump_key(kind, jump), connect)
    except TransportError as error:
        raise _behind(error, jump, target) from None
    return link


async def jump_target(pool: ConnectionPool, target: Target) -> Target:
    """The last jump host before the target, by inventory name, else by ssh_config alias."""
    *outer, spec = target.jumps
    host = pool.inventory.hosts.get(spec)
    ask = pool.ssh_config.ask
    async with pool.resolving():
        jump = await (resolve(host, ask) if host is not None else resolve_jump(spec, target.config, ask))
    return replace(jump, jumps=tuple(outer), proxy_command=None) if outer else jump


def jump_key(kind: str, jump: Target) -> Hashable:
    """What the shared connection to a jump host is known by in the pool."""
    return (kind, jump.user, jump.address, jump.port, jump.jumps)


def _behind(error: TransportError, jump: Target, target: Target) -> TransportError:
    """The same failure, as a host behind the jump host tells it. A copy: others get it too."""
    kind = HostUnreachable if isinstance(error, HandshakeDropped) else type(error)
    told = kind.__new__(kind, error.cause)
    told.__dict__.update(vars(error))
    told.cause = f"jump host {jump.name}: {error.cause}"
    told.host = target.name
    return told


def silent(target: Target, limit: float) -> HostUnreachable:
    return HostUnreachable(
        f"connected, but SSH did not log in within {limit:g} s",
        host=target.name,
        remedy="the host may be overloaded, or its sshd waits for DNS",
    )


async def greeted(pool: ConnectionPool, target: Target, pipe: Pipe) -> None:
    """Wait for the server's first word, before a turn is taken. Raises HostUnreachable."""
    try:
        async with asyncio.timeout(pool.limits.login_timeout):
            await pipe.greeting()
    except TimeoutError:
        raise silent(target, pool.limits.login_timeout) from None


async def knock(
    pool: ConnectionPool, kind: str, target: Target, through: Callable[[Any, Target], Awaitable[bool]]
) -> bool:
    """Whether the target's sshd can be reached, or the first of its jump hosts that is missing.

    Args:
        through: tries the target from an open jump connection. Never raises.
    """
    if target.proxy_command is not None:
        return await proxy_greets(target)
    if not target.jumps:
        return await port_answers(target.address, target.port)
    jump = await jump_target(pool, target)
    link = pool.standing(jump_key(kind, jump))
    if link is None:
        return await knock(pool, kind, jump, through)
    return await through(link, target)
