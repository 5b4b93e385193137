"""A host for inspectors: commands answer from a script, files and ports are those of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import HostSnapshot, Instance, Link, Listener, Process, State
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.registry import inspect_component
from edxconsole.inspect.sight import Sight
from edxconsole.inventory.model import Host
from edxconsole.transport.base import ConnectionInfo, Result
from edxconsole.transport.local_transport import LocalTransport

CATALOG = load_catalog()
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stage(LocalTransport):
    """Commands that begin as a key of `script` print what stands there: stdout, or (status, stdout, stderr).

    All others run really, as the user of the tests, whatever `become` says.
    """

    def __init__(self, script: Mapping[str, Any] | None = None, *, user: str = "ops") -> None:
        super().__init__(Host(name="h", transport="local"))
        self.script = dict(script or {})
        self.ran: list[tuple[str | None, str]] = []
        self.user = user

    @property
    def info(self) -> ConnectionInfo:
        return ConnectionInfo("local", user=self.user)

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        line = " ".join(argv)
        self.ran.append((become, line))
        for begin, said in self.script.items():
            if line.startswith(begin):
                if isinstance(said, Exception):
                    raise said
                status, out, err = said if isinstance(said, tuple) else (0, said, "")
                return Result(tuple(argv), status, out.encode(), err.encode())
        return await super().run(argv, timeout=timeout, stdin=stdin, max_output=max_output)


def process(pid: int, argv: str, *, ppid: int = 1, user: str = "www-data") -> Process:
    return Process(pid, pid, 1.0, ppid, 33, user, argv.split()[0], tuple(argv.split()), "S", 0.0, 2048, 1)


def snapshot(
    component: str, processes: Sequence[Process] = (), listeners: Sequence[Listener] = (), **more: Any
) -> HostSnapshot:
    """A live host where these processes and listeners are of one component."""
    pids = tuple(p.pid for p in processes)
    return HostSnapshot(
        name="h",
        version=1,
        link=Link.LIVE,
        reason="",
        since=0.0,
        processes={p.pid: p for p in processes},
        listeners=tuple(listeners),
        instances=(Instance(component, "h", State.UP, "", None, pids=pids),),
        **more,
    )


def listener(port: int, component: str) -> Listener:
    return Listener("tcp", "127.0.0.1", port, "x", 5, "owner", "x", component)


async def look(
    component: str,
    stage: Stage,
    host: HostSnapshot | None = None,
    *,
    sudo: bool = True,
    deadline: float = 20.0,
) -> Inspection:
    """One inspection on this stage."""
    await stage.connect()
    try:
        return await inspect_component(
            stage, host or snapshot(component), CATALOG, component, sudo=sudo, deadline=deadline
        )
    finally:
        await stage.close()


def sight(stage: Stage, component: str = "nginx", *, sudo: bool = True) -> Sight:
    found = CATALOG.get(component)
    assert found is not None
    return Sight(stage, snapshot(component), found, None, sudo=sudo)


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[int]:
    """The port of a service that does `serve` with each client; in the end no socket of it is left open."""
    clients: dict[asyncio.StreamWriter, asyncio.Task[object] | None] = {}

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients[writer] = asyncio.current_task()
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in clients:
            writer.transport.abort()
        tasks = [task for task in clients.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
