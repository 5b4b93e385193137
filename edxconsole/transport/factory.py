"""The transport that hosts.yaml asks for.

The SSH libraries take half a second to import. That happens in a worker thread while the first
host connects: not at the start of the program, where the first frame would wait for it, and not
on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edxconsole.errors import ConnectionLost
from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import (
    ConnectionInfo,
    Endpoint,
    Process,
    Prompter,
    Result,
    Stream,
    Transport,
)
from edxconsole.transport.knock import Knocking
from edxconsole.transport.pool import ConnectionPool

__all__ = ["ConnectionPool", "make_transport"]


def make_transport(
    host: Host, inventory: Inventory, prompter: Prompter, *, pool: ConnectionPool | None = None
) -> Transport:
    """A transport for one host, not connected yet. Returns at once; imports nothing heavy.

    Args:
        pool: what the engine's connections share; without one the transport has its own, and jump
            hosts and passphrases are not shared. With a pool its inventory and prompter are used.
    """
    if host.transport == "local":
        from edxconsole.transport.local_transport import LocalTransport

        return LocalTransport(host)
    shared = pool or ConnectionPool(inventory, prompter)
    make = _paramiko if host.transport == "paramiko" else _asyncssh
    return _Imported(host, lambda: make(host, shared))


def _asyncssh(host: Host, pool: ConnectionPool) -> Transport:
    from edxconsole.transport.asyncssh_transport import AsyncsshTransport

    return AsyncsshTransport(host, pool)


def _paramiko(host: Host, pool: ConnectionPool) -> Transport:
    from edxconsole.transport.paramiko_transport import ParamikoTransport

    return ParamikoTransport(host, pool)


class _Imported:
    """A transport whose library is imported, in a thread, when it connects."""

    def __init__(self, host: Host, make: Callable[[], Transport]) -> None:
        self._host = host
        self._make = make
        self._made: Transport | None = None
        self._closed = False

    @property
    def host_name(self) -> str:
        return self._host.name

    @property
    def connected(self) -> bool:
        return self._made is not None and self._made.connected

    @property
    def info(self) -> ConnectionInfo:
        return self._made.info if self._made is not None else ConnectionInfo(self._host.transport)

    async def connect(self) -> None:
        made = await asyncio.get_running_loop().run_in_executor(None, self._make)
        if self._closed:
            raise ConnectionLost("it was closed while connecting", host=self._host.name)
        self._made = made
        await made.connect()

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        return await self._real().run(
            argv, timeout=timeout, stdin=stdin, become=become, max_output=max_output
        )

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        return await self._real().process(argv, become=become)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        return await self._real().open_stream(endpoint, timeout=timeout)

    async def wait_lost(self) -> str:
        return await self._made.wait_lost() if self._made is not None else "it was never connected"

    async def returned(self) -> None:
        """See knock.Knocking."""
        made = self._made or await asyncio.get_running_loop().run_in_executor(None, self._make)
        if isinstance(made, Knocking):
            await made.returned()
        else:
            await asyncio.Event().wait()

    async def close(self) -> None:
        self._closed = True
        if self._made is not None:
            await self._made.close()

    def _real(self) -> Transport:
        if self._made is None:
            raise ConnectionLost("there is no open connection", host=self._host.name)
        return self._made
