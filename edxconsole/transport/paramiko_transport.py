"""The second way to a host: paramiko, in threads, an implementation independent of asyncssh.

Chosen per host, and by `edxconsole check` to tell a host's fault from a library's. It knows no
UNIX-socket forwarding (the exec relay does it), no host certificates and no SHA-1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import paramiko

from edxconsole.errors import ConnectionLost
from edxconsole.transport.base import Endpoint, Stream, TcpEndpoint
from edxconsole.transport.command import RunningProcess
from edxconsole.transport.ladder import DirectRefused, port_refused
from edxconsole.transport.paramiko_channel import Channel, ChannelProcess
from edxconsole.transport.paramiko_link import Link, close_late, open_link, opens
from edxconsole.transport.sessions import SessionRefused
from edxconsole.transport.ssh_resolve import Target
from edxconsole.transport.ssh_transport import SshTransport

R = TypeVar("R")
CONNECT_FAILED = 2
OPEN_TIMEOUT = 30


class ParamikoTransport(SshTransport[Link]):
    """A host over paramiko. See base.Transport for the contract."""

    kind = "paramiko"

    async def _open(self, target: Target) -> Link:
        return await open_link(self._pool, target)

    async def _through(self, jump: Link, target: Target) -> bool:
        return await opens(jump, target)

    async def _session(self, line: str, *, keep_stderr: bool, kill_signal: str) -> RunningProcess:
        transport = self._open_link().transport
        try:
            chan = await self._channel(lambda: transport.open_session(timeout=OPEN_TIMEOUT))
        except paramiko.ChannelException as error:
            raise SessionRefused(error.text) from None
        channel = Channel(self.host_name, chan, command=True, keep_stderr=keep_stderr)
        transport.watched[chan.get_id()] = channel
        channel.closed.add_done_callback(lambda _: transport.watched.pop(chan.get_id(), None))
        try:
            await self._blocking(lambda: chan.exec_command(line))
        except BaseException as error:
            await channel.close()
            if isinstance(error, paramiko.SSHException):
                raise SessionRefused("the command was refused") from None
            raise
        return ChannelProcess(channel, self._sessions.release, kill_signal)

    async def _direct(self, endpoint: Endpoint) -> Stream:
        if not isinstance(endpoint, TcpEndpoint):
            raise DirectRefused("paramiko can't forward UNIX sockets")
        transport = self._open_link().transport
        place = (endpoint.host, endpoint.port)
        try:
            chan = await self._channel(
                lambda: transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=OPEN_TIMEOUT)
            )
        except paramiko.ChannelException as error:
            if error.code == CONNECT_FAILED:
                raise port_refused(endpoint, self.host_name) from None
            raise DirectRefused(error.text) from None
        channel = Channel(self.host_name, chan, command=False, keep_stderr=False)
        return Stream(channel.stdout, channel.writer, "direct-tcpip")

    async def _channel(self, open_channel: Callable[[], paramiko.Channel]) -> paramiko.Channel:
        """Open in a thread; one that opens after we were cancelled is closed."""
        opening = asyncio.get_running_loop().run_in_executor(None, open_channel)
        try:
            return await self._mapped(asyncio.shield(opening))
        except asyncio.CancelledError:
            opening.add_done_callback(close_late)
            raise

    async def _blocking(self, call: Callable[[], None]) -> None:
        await self._mapped(asyncio.get_running_loop().run_in_executor(None, call))

    async def _mapped(self, work: asyncio.Future[R]) -> R:
        try:
            return await work
        except paramiko.ChannelException:
            raise
        except (paramiko.SSHException, OSError, EOFError) as error:
            if self.connected and isinstance(error, paramiko.SSHException):
                raise
            raise ConnectionLost(await self._lost_now(), host=self.host_name) from None
