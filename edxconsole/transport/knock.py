"""Notices within seconds that a host which was lost answers again.

A TCP connection that is being tried while a host is away asks again after 1, 2, 4, 8 s only: by
the time its host is back it may sit out seconds. A fresh one each second does not. Behind a jump
host that one is a forwarded channel: an attempt that was made can't be taken back there (the jump
host's kernel tries for two minutes), so there are few, and what is left of them keeps trying.
A ProxyCommand is a process, so it is run for this only while the loss is fresh.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edxconsole.errors import HostUnreachable
from edxconsole.transport.dial import dial
from edxconsole.transport.ssh_resolve import Target

EAGER = 60.0


@runtime_checkable
class Knocking(Protocol):
    """A transport that can tell when its host returns."""

    async def returned(self) -> None:
        """Return when the host answers after it did not. Never returns for one that answers all
        along (a frozen host: its kernel accepts). Never raises what the host caused."""
        ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often to knock, how many may wait for an answer, how long all in all. Seconds."""

    period: float
    most: int = 1
    lasts: float = float("inf")


DIRECT = Rhythm(1.0, most=2)
JUMPED = Rhythm(1.0, most=24)
PROXIED = Rhythm(1.2, most=2, lasts=EAGER)


def rhythm(target: Target) -> Rhythm:
    if target.proxy_command is not None:
        return PROXIED
    return JUMPED if target.jumps else DIRECT


async def returned(knock: Callable[[], Awaitable[bool]], rhythm: Rhythm) -> None:
    """Return when `knock` says True after it said False, or nothing for a period."""
    began = time.monotonic()
    due = began
    pending: set[asyncio.Task[bool]] = set()
    away = False
    try:
        while time.monotonic() - began < rhythm.lasts:
            if len(pending) < rhythm.most and time.monotonic() >= due:
                pending.add(asyncio.ensure_future(_answer(knock)))
                due = time.monotonic() + rhythm.period
            full = len(pending) >= rhythm.most
            wait = rhythm.period if full else max(0.01, due - time.monotonic())
            if not pending:
                await asyncio.sleep(wait)
                continue
            done, pending = await asyncio.wait(pending, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result() for task in done):
                if away:
                    return
                break
            away = True
        await asyncio.Event().wait()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _answer(knock: Callable[[], Awaitable[bool]]) -> bool:
    return await knock()


async def port_answers(address: str, port: int, limit: float = DIRECT.period) -> bool:
    """Whether a TCP port accepts within `limit` seconds."""
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return False
    writer.close()
    return True


async def proxy_greets(target: Target) -> bool:
    """Whether an SSH server speaks at the other end of the ProxyCommand, in twice the period."""
    try:
        pipe = await dial(target)
    except HostUnreachable:
        return False
    try:
        async with asyncio.timeout(2 * PROXIED.period):
            return await pipe.greeting()
    except TimeoutError:
        return False
    finally:
        await pipe.close()
