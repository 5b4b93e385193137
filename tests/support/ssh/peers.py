"""What transports talk to in tests: an operator with answers, small servers, small helpers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import Transport
from edxconsole.transport.factory import ConnectionPool, make_transport
from edxconsole.transport.pool import Limits
from tests.support.ssh.lab import Sshd, SshLab

Kind = Literal["asyncssh", "paramiko", "local"]


@dataclass
class Operator:
    """Answers from a list, and remembers what was asked."""

    answers: list[str] = field(default_factory=list)
    trusts: bool = False
    asked: list[str] = field(default_factory=list)
    shown: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def secret(self, host: str, prompt: str) -> str | None:
        self.asked.append(prompt)
        return self.answers.pop(0) if self.answers else None

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        self.shown.append((host, address, key_type, fingerprint))
        return self.trusts


@dataclass
class Reach:
    """Makes transports of one kind to servers of the lab, and closes them all."""

    lab: SshLab
    kind: Kind
    directory: Path
    operator: Operator = field(default_factory=Operator)
    limits: Limits | None = None
    hosts: dict[str, Host] = field(default_factory=dict)
    _pool: ConnectionPool | None = None
    _open: list[Transport] = field(default_factory=list)

    @property
    def pool(self) -> ConnectionPool:
        if self._pool is None:
            inventory = Inventory(hosts=self.hosts)
            self._pool = ConnectionPool(inventory, self.operator, limits=self.limits)
        return self._pool

    def number(self, base: int) -> str:
        """A number to recognize a process of this test run by."""
        return f"{base}{os.getpid()}{ord(self.kind[0])}"

    def known(self, *servers: Sshd) -> Path:
        """A known_hosts file with the keys of these servers."""
        path = self.directory / "known_hosts"
        path.write_text("".join(s.known_hosts_line() for s in servers))
        return path

    def host(self, server: Sshd, name: str = "web1", **more: Any) -> Host:
        said: dict[str, Any] = {
            "name": name,
            "address": server.address,
            "port": server.port,
            "user": "ops",
            "identity_file": self.lab.key,
            "known_hosts": self.known(server),
            "transport": self.kind,
        }
        host = Host(**(said | more))
        self.hosts[name] = host
        return host

    def transport(self, host: Host) -> Transport:
        made = make_transport(host, Inventory(hosts=self.hosts), self.operator, pool=self.pool)
        self._open.append(made)
        return made

    async def connect(self, server: Sshd, name: str = "web1", **more: object) -> Transport:
        transport = self.transport(self.host(server, name, **more))
        await transport.connect()
        return transport

    async def close(self) -> None:
        for transport in self._open:
            await transport.close()
        if self._pool is not None:
            await self._pool.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what it gets; after EOF says bye and closes."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        await writer.drain()
    except OSError:
        return
    finally:
        writer.close()


async def half_closer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says hello, closes its writing half, and notes what still arrives."""
    writer.write(b"hello")
    writer.write_eof()
    half_closer.heard = await reader.read()  # type: ignore[attr-defined]
    writer.close()


@asynccontextmanager
async def tcp_server(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def unix_server(serve: Serve, path: Path, *, mode: int = 0o777) -> AsyncIterator[Path]:
    server = await asyncio.start_unix_server(serve, path)
    os.chmod(path, mode)
    async with server:
        yield path


async def until(check: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether something becomes true in time; checked in a thread, every 50 ms."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        if await asyncio.to_thread(check):
            return True
        await asyncio.sleep(0.05)
    return False
