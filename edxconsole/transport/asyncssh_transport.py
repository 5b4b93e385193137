"""The default way to a host: one asyncssh connection.

Login, host keys and jump hosts are in `asyncssh_link`, channels in `asyncssh_channel`. Learned:
- forwarded channels do not count against MaxSessions, sessions do: two at most are open at once;
- sshd leaves Nagle on until the first session starts, so `true` runs before the first forward
  when the probe has not started yet;
- an invalid UTF-8 byte closes the whole connection unless `encoding=None`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncssh

from edxconsole.errors import ConnectionLost, StreamRefused
from edxconsole.inventory.model import Host
from edxconsole.transport.asyncssh_auth import clean
from edxconsole.transport.asyncssh_channel import WINDOW, Channel, ChannelProcess, Writer
from edxconsole.transport.asyncssh_link import Link, open_link
from edxconsole.transport.base import ConnectionInfo, Endpoint, Process, Result, Stream, TcpEndpoint
from edxconsole.transport.command import check_start, collect, command_line
from edxconsole.transport.ladder import DirectRefused, Ladder
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.sessions import SessionBudget, SessionRefused
from edxconsole.transport.ssh_resolve import resolve


class AsyncsshTransport:
    """A host over asyncssh. See base.Transport for the contract."""

    def __init__(self, host: Host, pool: ConnectionPool) -> None:
        self._host = host
        self._pool = pool
        self._link: Link | None = None
        self._sessions = SessionBudget(host.name, pool.limits.sessions, pool.limits.session_wait)
        self._had_session = False
        self._ladder: Ladder | None = None
        self._closed = False

    @property
    def host_name(self) -> str:
        return self._host.name

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.alive

    @property
    def info(self) -> ConnectionInfo:
        link = self._link
        if link is None:
            return ConnectionInfo("asyncssh")
        conn = link.connection
        return ConnectionInfo(
            "asyncssh",
            address=f"{link.target.address}:{link.target.port}",
            user=link.target.user,
            server=clean(str(conn.get_extra_info("server_version", ""))),
            cipher=str(conn.get_extra_info("send_cipher", "")),
            via=link.via,
        )

    async def connect(self) -> None:
        if self._link is not None:
            raise RuntimeError("a transport connects once; make a new one")
        async with self._pool.resolving():
            target = await resolve(self._host)
        self._link = await open_link(self._pool, target)
        if self._closed:
            await self._link.close()
            raise ConnectionLost("it was closed while connecting", host=self._host.name)
        self._ladder = Ladder(
            self._host.name,
            target.user,
            may_sudo=self._host.become == "sudo",
            direct=self._direct,
            start=self.process,
        )

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        process = await self._start(argv, become, keep_stderr=True)
        result = await collect(
            self.host_name,
            argv,
            process,
            stdin=stdin,
            timeout=timeout,
            max_output=max_output,
            become=become,
            kill=self._plain,
        )
        if result.exit_status is None and result.signal is None:
            raise ConnectionLost(await self._lost_now(), host=self.host_name)
        await check_start(self.host_name, self.info.user, result, become, self._plain)
        return result

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        return await self._start(argv, become, keep_stderr=False)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        self._open_link()
        assert self._ladder is not None
        if not self._had_session:
            await self.run(("true",), timeout=timeout)
        return await self._ladder.open(endpoint, timeout)

    async def wait_lost(self) -> str:
        if self._link is None:
            return "it was never connected"
        return await asyncio.shield(self._link.client.lost)

    async def close(self) -> None:
        self._closed = True
        if self._link is not None:
            await self._link.close()

    def _open_link(self) -> Link:
        if self._link is None or not self._link.alive:
            raise ConnectionLost("there is no open connection", host=self._host.name)
        return self._link

    async def _lost_now(self) -> str:
        """The reason, when a channel ended without a status."""
        link = self._open_link() if self.connected else self._link
        assert link is not None
        try:
            return await asyncio.wait_for(asyncio.shield(link.client.lost), 0.5)
        except TimeoutError:
            return "its sshd closed the channel without an exit status"

    async def _plain(self, argv: Sequence[str]) -> Result:
        process = await self._start(argv, None, keep_stderr=True)
        return await collect(self.host_name, argv, process, stdin=b"", timeout=10, max_output=1 << 16)

    async def _start(self, argv: Sequence[str], become: str | None, *, keep_stderr: bool) -> ChannelProcess:
        line = command_line(argv, become)

        async def start() -> tuple[Any, Channel]:
            connection = self._open_link().connection
            return await self._guard(
                lambda: connection.create_session(
                    lambda: Channel(self.host_name, keep_stderr=keep_stderr),
                    line,
                    encoding=None,
                    window=WINDOW,
                ),
                SessionRefused,
            )

        channel, session = await self._sessions.open(start)
        self._had_session = True
        return ChannelProcess(channel, session, self._sessions.release)

    async def _direct(self, endpoint: Endpoint) -> Stream:
        connection = self._open_link().connection
        if isinstance(endpoint, TcpEndpoint):
            channel, session = await self._guard(
                lambda: connection.create_connection(
                    lambda: Channel(self.host_name),
                    endpoint.host,
                    endpoint.port,
                    encoding=None,
                    window=WINDOW,
                ),
                self._tcp_refusal(endpoint),
            )
            rung = "direct-tcpip"
        else:
            channel, session = await self._guard(
                lambda: connection.create_unix_connection(
                    lambda: Channel(self.host_name), endpoint.path, encoding=None, window=WINDOW
                ),
                DirectRefused,
            )
            rung = "direct-streamlocal"
        return Stream(session.stdout, Writer(channel, session, whole=True), rung)

    def _tcp_refusal(self, endpoint: Endpoint) -> Callable[[str], Exception]:
        def refusal(said: str) -> Exception:
            if "onnection refused" in said:
                return StreamRefused(
                    f"{endpoint} refused the connection",
                    host=self.host_name,
                    remedy="nothing listens there; see whether it runs",
                )
            return DirectRefused(said)

        return refusal

    async def _guard(
        self, open_channel: Callable[[], Awaitable[Any]], refused: Callable[[str], Exception]
    ) -> tuple[Any, Channel]:
        """asyncssh's errors as ours."""
        try:
            channel, session = await open_channel()
        except asyncssh.ChannelOpenError as error:
            if not self.connected:
                raise ConnectionLost(await self._lost_now(), host=self.host_name) from None
            raise refused(clean(error.reason) or "refused") from None
        except (asyncssh.Error, OSError) as error:
            raise ConnectionLost(clean(str(error)) or type(error).__name__, host=self.host_name) from None
        return channel, session
