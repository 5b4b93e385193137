"""The way through a jump host, opened before the handshake's turn is taken.

asyncssh begins SSH the moment a forwarded channel is open. Here a dead target behind a jump host
waits without holding a turn, and so does one whose sshd accepts and says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from edxconsole.errors import HostUnreachable
from edxconsole.transport.login import silent
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.ssh_resolve import Target


class Held(asyncssh.SSHTCPSession[bytes]):
    """Keeps what a channel says until `hand_over`, then passes everything on."""

    def __init__(self) -> None:
        self.spoke: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channel: Any = None
        self._said: list[bytes] = []
        self._eof = False
        self._lost: tuple[Exception | None] | None = None
        self._session: Any = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._session is not None:
            self._session.data_received(data, datatype)
        else:
            self._said.append(data)
            self._speak()

    def eof_received(self) -> bool:
        if self._session is not None:
            return bool(self._session.eof_received())
        self._eof = True
        self._speak()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._session is not None:
            self._session.connection_lost(exc)
        self._lost = (exc,)
        self._speak()

    def pause_writing(self) -> None:
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        if self._session is not None:
            self._session.resume_writing()

    def hand_over(self, session: Any) -> None:
        """Let another session have the channel, and what it said so far."""
        self._session = session
        session.connection_made(self._channel)
        session.session_started()
        for data in self._said:
            session.data_received(data, None)
        if self._eof:
            session.eof_received()
        if self._lost is not None:
            session.connection_lost(*self._lost)

    def _speak(self) -> None:
        if not self.spoke.done():
            self.spoke.set_result(None)


class Tunnel:
    """What asyncssh takes for its `tunnel`.

    Args:
        jump: the open connection to the jump host called `name`.
        take_turn: awaited between the server's greeting and the handshake.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        jump: asyncssh.SSHClientConnection,
        name: str,
        target: Target,
        take_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._jump = jump
        self._name = name
        self._target = target
        self._take_turn = take_turn

    async def create_connection(
        self, session_factory: Callable[[], Any], remote_host: str, remote_port: int
    ) -> tuple[Any, Any]:
        """Raises HostUnreachable, asyncssh.ChannelOpenError."""
        target = self._target
        try:
            async with asyncio.timeout(target.connect_timeout):
                channel, held = await open_held(self._pool, self._jump, target)
        except TimeoutError:
            raise HostUnreachable(
                f"the jump host {self._name} got no answer from {target.address} port {target.port} "
                f"within {target.connect_timeout:g} s",
                host=target.name,
                remedy="see whether the host is up and a firewall lets the jump host through",
            ) from None
        try:
            async with asyncio.timeout(self._pool.limits.login_timeout):
                await held.spoke
            await self._take_turn()
        except TimeoutError:
            channel.abort()
            raise silent(target, self._pool.limits.login_timeout) from None
        except BaseException:
            channel.abort()
            raise
        session = session_factory()
        held.hand_over(session)
        return channel, session


async def open_held(
    pool: ConnectionPool, jump: asyncssh.SSHClientConnection, target: Target
) -> tuple[Any, Held]:
    """Open a channel to a target. What opens after we were cancelled is closed."""
    opening: asyncio.Task[tuple[Any, Any]] = asyncio.ensure_future(
        jump.create_connection(Held, target.address, target.port)
    )
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_late)
        pool.look_after(opening)
        raise


def _close_late(opening: asyncio.Future[tuple[Any, Any]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].abort()


async def opens(pool: ConnectionPool, jump: asyncssh.SSHClientConnection, target: Target) -> bool:
    """Whether a jump host reaches a target."""
    try:
        channel, _ = await open_held(pool, jump, target)
    except (asyncssh.Error, OSError):
        return False
    channel.abort()
    return True
