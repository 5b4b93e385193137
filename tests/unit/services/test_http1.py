"""HTTP over a stream: keep-alive, chunks, bounds and every way an answer can stay away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from edxconsole.errors import ServiceUnavailable
from edxconsole.services.http1 import HttpConnection, ReplyLost
from edxconsole.transport.base import Stream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def connected(serve: Serve) -> AsyncIterator[HttpConnection]:
    """A connection to a server that does what the test says."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    connection = HttpConnection(Stream(reader, writer, "local"))
    try:
        yield connection
    finally:
        connection.close()
        await asyncio.sleep(0)
        server.close()
        await server.wait_closed()


def answers(*raw: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in raw:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return serve


async def get(connection: HttpConnection, timeout: float = 3.0) -> bytes:
    return (await connection.request("GET", "/", headers={}, timeout=timeout)).body


async def test_two_requests_go_over_one_connection() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
    async with connected(answers(one, one.replace(b"one", b"two"))) as connection:
        assert [await get(connection), await get(connection)] == [b"one", b"two"]
        assert not connection.closed


async def test_chunks_are_joined() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    async with connected(answers(raw)) as connection:
        assert await get(connection) == b"abc0123456789"


async def test_without_a_length_the_body_ends_with_the_connection() -> None:
    async with connected(answers(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as connection:
        assert await get(connection) == b"all of it"
        assert connection.closed


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFF\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    ],
    ids=["ssh", "long", "negative", "chunk", "no-chunk", "head"],
)
async def test_a_hostile_answer_is_refused_and_the_connection_dropped(raw: bytes) -> None:
    async with connected(answers(raw)) as connection:
        with pytest.raises(ServiceUnavailable):
            await get(connection)
        assert connection.closed


async def test_silence_and_a_cut_answer_are_told_apart() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with connected(silent) as connection:
        with pytest.raises(ReplyLost, match=r"no answer in 0\.2 s") as lost:
            await get(connection, timeout=0.2)
        assert lost.value.unread
    async with connected(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")) as connection:
        with pytest.raises(ReplyLost, match="ended before the answer"):
            await get(connection)


async def test_an_endless_answer_is_read_as_far_as_it_has_come() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nlast\n\r\n")
        await reader.read()

    async with connected(endless) as connection:
        assert await connection.tail("/logtail/lms", headers={}, timeout=0.3, limit=4096) == b"last\n"
        assert connection.closed
