"""Ways to a port or socket on a host, best first; the one that worked is remembered.

direct-tcpip or direct-streamlocal (forwarded by sshd itself, no process on the host), then a
relay as the login user, then a relay as the socket's owner through sudo.

OpenSSH says "administratively prohibited" only for TCP; for a UNIX socket a switched-off
forwarding, missing rights and a missing file all look alike ("open failed"), so the relay is what
tells them apart. A TCP port that refuses sshd refuses a relay as well: no further rung is tried.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence

from edxconsole.errors import CommandFailed, PortRefused, StreamRefused
from edxconsole.transport.base import Endpoint, Process, Stream, TcpEndpoint, UnixEndpoint
from edxconsole.transport.command import sudoers_line
from edxconsole.transport.relay import RelayRefused, handshake, relay_argv, sudo_argv

Direct = Callable[[Endpoint], Awaitable[Stream]]
Start = Callable[[Sequence[str]], Awaitable[Process]]


class DirectRefused(Exception):
    """sshd would not forward, or can't; another rung may do. The text is sshd's reason."""


class Ladder:
    """Opens streams on one host.

    Args:
        host: the inventory name.
        user: the login user, for the sentence about rights.
        may_sudo: whether hosts.yaml allows sudo (`become: sudo`).
        direct: opens a forwarded stream, raises DirectRefused or StreamRefused.
        start: starts a command for a relay.
    """

    def __init__(self, host: str, user: str, *, may_sudo: bool, direct: Direct, start: Start) -> None:
        self._host = host
        self._user = user
        self._may_sudo = may_sudo
        self._direct = direct
        self._start = start
        self._rungs: dict[Endpoint | str, str] = {}

    async def open(self, endpoint: Endpoint, timeout: float) -> Stream:
        """Raises StreamRefused with what is missing, ConnectionLost."""
        try:
            async with asyncio.timeout(timeout):
                stream = await self._remembered(endpoint) or await self._climb(endpoint)
        except TimeoutError:
            raise StreamRefused(
                f"{endpoint} did not answer within {timeout:g} s",
                host=self._host,
                remedy="see whether what should listen there is stuck",
            ) from None
        self._rungs[endpoint] = stream.rung
        if isinstance(endpoint, TcpEndpoint) and stream.rung == "relay":
            self._rungs["tcp"] = "relay"
        return stream

    async def _remembered(self, endpoint: Endpoint) -> Stream | None:
        rung = self._rungs.get(endpoint)
        if rung is None and isinstance(endpoint, TcpEndpoint):
            rung = self._rungs.get("tcp")
        try:
            if rung == "relay":
                return await self._relay(endpoint, None)
            if rung == "sudo-relay":
                return await self._relay(endpoint, _owner(endpoint))
        except RelayRefused:
            self._rungs.pop(endpoint, None)
        return None

    async def _climb(self, endpoint: Endpoint) -> Stream:
        try:
            return await self._direct(endpoint)
        except DirectRefused as error:
            said = str(error)
        try:
            return await self._relay(endpoint, None)
        except RelayRefused as error:
            if error.errno in (errno.EACCES, errno.EPERM) and self._may_sudo:
                return await self._climb_sudo(endpoint, error)
            raise self._refusal(endpoint, error) from None
        except CommandFailed as error:
            raise StreamRefused(
                f"{endpoint} can't be opened: sshd does not forward it ({said}) and {error.cause}",
                host=self._host,
                remedy="allow forwarding or more MaxSessions in its sshd_config",
            ) from None

    async def _climb_sudo(self, endpoint: Endpoint, first: RelayRefused) -> Stream:
        try:
            return await self._relay(endpoint, _owner(endpoint))
        except RelayRefused as error:
            raise self._refusal(endpoint, first if error.errno == -1 else error) from None

    async def _relay(self, endpoint: Endpoint, owner: str | None) -> Stream:
        process = await self._start(relay_argv(endpoint, owner))
        return await handshake(process, self._host, "sudo-relay" if owner else "relay")

    def _refusal(self, endpoint: Endpoint, error: RelayRefused) -> StreamRefused:
        """One sentence for what the host itself said."""
        head = f"{endpoint} can't be opened: {error.cause}"
        if error.errno in (errno.EACCES, errno.EPERM):
            rule = sudoers_line(self._user, _owner(endpoint), sudo_argv(endpoint))
            first = "" if self._may_sudo else "set `become: sudo` in hosts.yaml and "
            remedy = f"give {self._user} rights on the socket, or {first}add to sudoers there: {rule}"
        elif error.errno == errno.ENOENT:
            remedy = "see whether what should listen there runs"
        elif error.errno == errno.ECONNREFUSED:
            return PortRefused(head, host=self._host, remedy="nothing listens there; see whether it runs")
        else:
            remedy = "install python3 or socat there, or allow forwarding in sshd_config"
        return StreamRefused(head, host=self._host, remedy=remedy)


def port_refused(endpoint: Endpoint, host: str) -> PortRefused:
    """A port that sshd itself could not connect to."""
    return PortRefused(
        f"{endpoint} refused the connection", host=host, remedy="nothing listens there; see whether it runs"
    )


def _owner(endpoint: Endpoint) -> str:
    return (endpoint.owner if isinstance(endpoint, UnixEndpoint) else None) or "root"
