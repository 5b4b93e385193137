"""What logging in is, whichever library speaks: turns, retries, jump hosts, a fair clock.

sshd drops bursts of unauthenticated connections without a word (MaxStartups), so a hang-up before
login is tried again a few times with jitter; a refused key or password never is (OpenSSH 9.8
locks an address out for that).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edxconsole.errors import AuthenticationFailed, HandshakeDropped, InventoryError, TransportError
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
            self._reschedule(asyncio.get_running_loop().time() + self._pool.limits.login_timeout)
        self.asked = True
        self.declined = answer is None
        return answer

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
    *outer, spec = target.jumps
    if len(seen) >= MAX_JUMPS or spec in seen:
        raise InventoryError(f"its jump hosts go in a circle: {' -> '.join((*seen, spec))}", host=target.name)
    jump = await _resolve_jump(pool, spec, target.config)
    if outer:
        jump = replace(jump, jumps=tuple(outer), proxy_command=None)

    async def connect() -> L:
        return await opener(pool, jump, (*seen, spec))

    link: L = await pool.jump((kind, jump.user, jump.address, jump.port, jump.jumps), connect)
    return link


async def _resolve_jump(pool: ConnectionPool, spec: str, config: Path | None) -> Target:
    """By inventory name, else by ssh_config alias."""
    host = pool.inventory.hosts.get(spec)
    async with pool.resolving():
        return await (resolve(host) if host is not None else resolve_jump(spec, config))
