"""Services that tests make up, on real sockets of this machine, and one check of them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import Evidence, HostSnapshot, Link, Listener
from edxconsole.cluster.units import Unit
from edxconsole.health.checks import run_check
from edxconsole.inventory.model import Host
from edxconsole.transport.local_transport import LocalTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def snapshot(*ports: int, address: str = "127.0.0.1", component: str = "x") -> HostSnapshot:
    rows = tuple(Listener("tcp", address, p, "root", 5, "owner", "x", component) for p in ports)
    return HostSnapshot(name="h", version=1, link=Link.LIVE, reason="", since=0.0, listeners=rows)


async def ask_spec(
    spec: HealthSpec, host: HostSnapshot, unit: Unit | None = None, sites: Sequence[str] = ()
) -> Evidence:
    """The evidence of one check on this machine."""
    transport = LocalTransport(Host(name="h", transport="local"))
    await transport.connect()
    try:
        return await run_check(transport, host, "x", Check(spec.name, spec, unit), sites)
    finally:
        await transport.close()


async def ask(
    kind: Any,
    serve: Serve,
    *,
    listening: bool = True,
    tls: ssl.SSLContext | None = None,
    sites: Sequence[str] = (),
    **spec: Any,
) -> Evidence:
    """The evidence of one check of a service that does `serve` with each client."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            pass  # it was hung up on, which is what several checks do
        finally:
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        host = snapshot(port) if listening else snapshot()
        return await ask_spec(HealthSpec(name="check", kind=kind, port=port, **spec), host, sites=sites)
    finally:
        server.close()
        await server.wait_closed()


def says(data: bytes, until: bytes = b"") -> Serve:
    """Reads up to `until`, then says `data`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if until:
            await reader.readuntil(until)
        writer.write(data)
        await writer.drain()

    return serve


def for_ever(head: bytes, again: bytes) -> Serve:
    """Says `head`, and then `again` until nobody listens: much of it at a time, and others get their turn."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(again * (4096 // len(again) + 1))
            await writer.drain()
            await asyncio.sleep(0)

    return serve


def http(status: int, body: object = "", *, chunked: bool = False, head: str = "") -> Serve:
    text = (body if isinstance(body, str) else json.dumps(body)).encode()
    first = f"HTTP/1.1 {status} Whatever\r\n{head}"
    if chunked:
        half = len(text) // 2
        parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (text[:half], text[half:]) if p)
        data = f"{first}Transfer-Encoding: chunked\r\n\r\n".encode() + parts + b"0\r\n\r\n"
    else:
        data = f"{first}Content-Length: {len(text)}\r\n\r\n".encode() + text
    return says(data, b"\r\n\r\n")
