"""The default way to a host: one asyncssh connection.

Login, host keys and jump hosts are in `asyncssh_link`, channels in `asyncssh_channel`, what both
SSH ways share in `ssh_transport`. Learned: an invalid UTF-8 byte closes the whole connection
unless `encoding=None`; OpenSSH's own words come with a refused channel and tell a closed port
from a forbidden forwarding.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from edxconsole.errors import ConnectionLost
from edxconsole.transport.asyncssh_auth import clean
from edxconsole.transport.asyncssh_channel import WINDOW, Channel, ChannelProcess, Writer
from edxconsole.transport.asyncssh_link import Link, open_link
from edxconsole.transport.asyncssh_tunnel import opens
from edxconsole.transport.base import Endpoint, Stream, TcpEndpoint
from edxconsole.transport.command import RunningProcess
from edxconsole.transport.ladder import DirectRefused, port_refused
from edxconsole.transport.sessions import SessionRefused
from edxconsole.transport.ssh_resolve import Target
from edxconsole.transport.ssh_transport import SshTransport


class AsyncsshTransport(SshTransport[Link]):
    """A host over asyncssh. See base.Transport for the contract."""

    kind = "asyncssh"

    async def _open(self, target: Target) -> Link:
        return await open_link(self._pool, target)

    async def _through(self, jump: Link, target: Target) -> bool:
        return await opens(self._pool, jump.connection, target)

    async def _session(self, line: str, *, keep_stderr: bool, kill_signal: str) -> RunningProcess:
        connection = self._open_link().connection
        channel, session = await self._guard(
            lambda: connection.create_session(
                lambda: Channel(self.host_name, keep_stderr=keep_stderr), line, encoding=None, window=WINDOW
            ),
            SessionRefused,
        )
        return ChannelProcess(channel, session, self._sessions.release, kill_signal)

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
            refused = "onnection refused" in said
            return port_refused(endpoint, self.host_name) if refused else DirectRefused(said)

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
