"""Speaks to one supervisord: finds a route, authenticates when asked to, makes calls.

Routes, best first: the endpoint the probe told, unless it is a socket of another user; the TCP
port (edX's stock configuration has 127.0.0.1:9001 without a password), which takes none of the
host's few sessions; the UNIX socket through a relay as its owner, by sudo.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

from edxconsole.errors import (
    CommandFailed,
    CommandTimedOut,
    PermissionMissing,
    ServiceFault,
    ServiceUnavailable,
    StreamRefused,
)
from edxconsole.services.http1 import HttpConnection, ReplyLost
from edxconsole.services.supervisor_config import Credentials, ServerConfig, parse, parse_endpoint
from edxconsole.services.xmlrpc import Value, decode_response, encode_call
from edxconsole.transport.base import Endpoint, TcpEndpoint, Transport, UnixEndpoint

READ_TIMEOUT = 3.0
CONTROL_TIMEOUT = 5.0
OPEN_TIMEOUT = 5.0
SHUTDOWN_STATE = 6
DEFAULT_TCP = TcpEndpoint("127.0.0.1", 9001)

Params = tuple[str | bool | int, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A way to supervisord that answered. `password` tells whether it asked for one."""

    endpoint: Endpoint
    rung: str
    password: bool

    def __str__(self) -> str:
        owner = self.endpoint.owner if isinstance(self.endpoint, UnixEndpoint) else None
        if self.rung == "sudo-relay" and owner:
            return f"{self.endpoint} through sudo -u {owner}"
        return f"{self.endpoint} ({self.rung})"


class SupervisorClient:
    """Calls to one supervisord, one at a time, on one connection that is reopened when it ended.

    Args:
        transport: the host's connection.
        endpoint: as the probe tells it, `unix:/path` or `tcp:host:port`; "" when not known.
        owner: user that owns the UNIX socket, for the sudo relay; "" when not known.
        config: path of supervisord.conf on the host, for the other endpoint and credentials.
        pid: supervisord's own, to prove that an endpoint nobody told us belongs to it.
    """

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        *,
        owner: str = "",
        config: str = "",
        pid: int | None = None,
    ) -> None:
        self.transport = transport
        self.route: Route | None = None
        self._told = parse_endpoint(endpoint)
        self._owner = owner
        self._config_path = config
        self._pid = pid
        self._connection: HttpConnection | None = None
        self._auth: Credentials | None = None
        self._one_call = asyncio.Lock()

    async def read(self, method: str, *params: str | bool | int) -> Value:
        """A call that changes nothing: made once more on a new connection when the answer was lost.

        Raises:
            ServiceUnavailable: no route, no answer in 3 s, or supervisord is shutting down.
            PermissionMissing: it wants a password that can't be read.
            ServiceFault: it answered with a fault.
        """
        async with self._one_call:
            try:
                return await self._call(method, params, READ_TIMEOUT)
            except ReplyLost:
                return await self._call(method, params, READ_TIMEOUT)

    async def control(self, method: str, *params: str | bool | int) -> Value:
        """A call that changes something: made once, never repeated. Raises ReplyLost and as read()."""
        async with self._one_call:
            return await self._call(method, params, CONTROL_TIMEOUT)

    async def log_tail(self, name: str, channel: str, limit: int = 4096) -> bytes:
        """The end of a program's log by /logtail, on a connection of its own; b"" if it has none.

        Never by XML-RPC: a control character in the log makes that answer unreadable.
        """
        if self.route is None:
            return b""
        self.release()
        path = f"/logtail/{quote(name, safe=':')}" + ("/stderr" if channel == "stderr" else "")
        try:
            stream = await self.transport.open_stream(self.route.endpoint, timeout=OPEN_TIMEOUT)
            return await HttpConnection(stream).tail(path, headers=self._headers(), timeout=1.0, limit=limit)
        except (ServiceUnavailable, StreamRefused):
            return b""

    async def server_config(self) -> ServerConfig:
        """supervisord.conf as it is now, read as the login user, else as the socket's owner."""
        if not self._config_path:
            return ServerConfig()
        for become in dict.fromkeys((None, self._owner or None)):
            try:
                result = await self.transport.run(["cat", self._config_path], timeout=5.0, become=become)
            except (CommandFailed, CommandTimedOut):
                continue
            if result.ok:
                return parse(result.text, self._config_path)
        return ServerConfig()

    @property
    def credentials(self) -> Credentials | None:
        """What the open connection authenticated with; None when no password was asked for."""
        return self._auth

    def release(self) -> None:
        """End a relay, which occupies one of the host's few sessions; keep a forwarded stream."""
        if self.route is not None and self.route.rung.endswith("relay"):
            self.close()

    def close(self) -> None:
        """End the connection and forget the credentials."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._auth = None

    async def _call(self, method: str, params: Params, timeout: float) -> Value:
        if self._connection is None or self._connection.closed:
            self.close()
            self._connection = await self._connect()
        return await self._post(self._connection, method, params, timeout)

    async def _post(self, connection: HttpConnection, method: str, params: Params, timeout: float) -> Value:
        headers = {"Content-Type": "text/xml", **self._headers()}
        body = encode_call(method, params)
        try:
            response = await connection.request("POST", "/RPC2", headers=headers, body=body, timeout=timeout)
            if response.status == 401:
                raise PermissionMissing("supervisord asks for a password")
            if response.status != 200:
                raise ServiceUnavailable(f"supervisord answered with HTTP status {response.status}")
            return decode_response(response.body)
        except ServiceFault as fault:
            if fault.code == SHUTDOWN_STATE:
                cause = "supervisord is shutting down or restarting"
                raise ServiceUnavailable(cause, host=self.transport.host_name) from fault
            fault.host = self.transport.host_name
            raise
        except (ServiceUnavailable, PermissionMissing) as error:
            error.host = self.transport.host_name
            raise

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._auth.header} if self._auth else {}

    async def _connect(self) -> HttpConnection:
        refused: dict[Endpoint, str] = {}
        missing: PermissionMissing | None = None
        remedy: str | None = None
        async for endpoint in self._endpoints():
            if endpoint in refused:
                continue
            try:
                return await self._enter(endpoint)
            except PermissionMissing as error:
                missing = error
                refused[endpoint] = error.cause
            except (StreamRefused, ReplyLost) as error:
                refused[endpoint] = error.cause
                remedy = error.remedy or remedy
        if missing is not None:
            raise missing
        reasons = "; ".join(f"{where}: {why}" for where, why in refused.items()) or "no endpoint is known"
        raise ServiceUnavailable(
            f"supervisord can't be reached ({reasons})", host=self.transport.host_name, remedy=remedy
        )

    async def _endpoints(self) -> AsyncIterator[Endpoint]:
        told = self._told
        if self.route is not None:
            yield self.route.endpoint
        foreign = self._owner not in ("", self.transport.info.user) and self.transport.info.user != "root"
        if told is not None and not (foreign and isinstance(told, UnixEndpoint)):
            yield told
        config = await self.server_config()
        tcp = config.tcp or (DEFAULT_TCP if self._pid is not None else None)
        if tcp is not None and tcp != told and await self._is_ours(tcp):
            yield tcp
        unix = told if isinstance(told, UnixEndpoint) else config.unix
        if unix is not None and self._owner:
            yield UnixEndpoint(unix.path, self._owner)
        elif unix is not None and unix != told:
            yield unix

    async def _is_ours(self, endpoint: TcpEndpoint) -> bool:
        """Whether what listens on a port we found ourselves is the supervisord we mean."""
        if self._pid is None:
            return True
        try:
            connection = await self._enter(endpoint)
        except (StreamRefused, ServiceUnavailable, ServiceFault, PermissionMissing):
            return False
        try:
            return await self._post(connection, "supervisor.getPID", (), READ_TIMEOUT) == self._pid
        except (ServiceUnavailable, ServiceFault):
            return False
        finally:
            connection.close()
            self.route = None

    async def _enter(self, endpoint: Endpoint) -> HttpConnection:
        """Connect, prove that supervisord answers, with a password only if it asks for one."""
        self._auth = None
        try:
            return await self._knock(endpoint)
        except PermissionMissing:
            self._auth = await self._credentials(endpoint)
        return await self._knock(endpoint)

    async def _knock(self, endpoint: Endpoint) -> HttpConnection:
        stream = await self.transport.open_stream(endpoint, timeout=OPEN_TIMEOUT)
        connection = HttpConnection(stream)
        try:
            await self._post(connection, "supervisor.getAPIVersion", (), READ_TIMEOUT)
        except BaseException:
            connection.close()
            raise
        self.route = Route(endpoint, stream.rung, password=self._auth is not None)
        return connection

    async def _credentials(self, endpoint: Endpoint) -> Credentials:
        config = await self.server_config()
        auth = config.unix_auth if isinstance(endpoint, UnixEndpoint) else config.tcp_auth
        if auth is None:
            raise PermissionMissing(
                f"supervisord asks for a password at {endpoint} and none can be read",
                host=self.transport.host_name,
                remedy=f"let the login user read {self._config_path or 'supervisord.conf'}",
            )
        if auth.hashed:
            raise PermissionMissing(
                f"supervisord's password at {endpoint} is only kept as a digest",
                host=self.transport.host_name,
                remedy="use its UNIX socket, or allow sudo to the socket's owner",
            )
        return auth
