"""A bridge lends a service on a host to a library of this machine, and to nobody else."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from edxconsole.errors import ServiceUnavailable, StreamRefused
from edxconsole.inspect.bridge import bridge
from edxconsole.transport.base import TcpEndpoint
from tests.unit.inspect.stage import Stage, served


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


def ask(path: str, data: bytes, count: int) -> bytes:
    """What a library does, blocking: send, then read `count` bytes or to the end."""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(30)
        made.connect(path)
        made.sendall(data)
        got = b""
        while len(got) < count and (more := made.recv(65536)):
            got += more
        return got


async def test_bytes_are_carried_both_ways_on_each_connection(stage: Stage) -> None:
    async with served(echo) as port, bridge(stage, TcpEndpoint("127.0.0.1", port)) as over:
        data = os.urandom(300_000)

        def twice() -> tuple[bytes, bytes]:
            return ask(over.path, b"hello", 5), ask(over.path, data[:200_000], 200_000)

        assert await over.work(twice, timeout=30.0) == (b"hello", data[:200_000])


async def test_only_this_user_can_come_near_it_and_nothing_is_left(stage: Stage) -> None:
    async with bridge(stage, TcpEndpoint("127.0.0.1", 1)) as over:
        directory = Path(over.path).parent
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert directory.stat().st_uid == os.getuid()
        assert len(over.path) < 104, "the longest path of a socket on macOS"
    assert not directory.exists()


async def test_what_broke_it_is_told_whatever_the_library_makes_of_it(stage: Stage) -> None:
    def poor() -> bytes:
        if not ask(over.path, b"x", 1):
            raise KeyError("a strange error of a library")
        return b""

    async with bridge(stage, TcpEndpoint("127.0.0.1", 1)) as over:
        with pytest.raises(StreamRefused) as told:
            await over.work(poor, timeout=30.0)
    assert told.value.cause == "127.0.0.1:1 refused the connection"


async def test_an_answer_without_an_end_is_cut(stage: Stage) -> None:
    def all_of_it() -> bytes:
        got = ask(over.path, b"x", 1 << 30)
        raise ValueError(len(got))

    async with served(endless) as port, bridge(stage, TcpEndpoint("127.0.0.1", port), limit=1 << 20) as over:
        with pytest.raises(ServiceUnavailable) as told:
            await over.work(all_of_it, timeout=30.0)
    assert told.value.cause == f"127.0.0.1:{port} answers without an end"


async def test_a_library_that_waits_for_ever_is_let_go(stage: Stage) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> bytes:
        try:
            return ask(over.path, b"x", 1)
        finally:
            loop.call_soon_threadsafe(ended.set)

    async with served(silent) as port, bridge(stage, TcpEndpoint("127.0.0.1", port)) as over:
        with pytest.raises(ServiceUnavailable) as told:
            await over.work(wait, timeout=0.3)
        assert "gave no answer within 0.3 s" in told.value.cause
        # Its connection was ended, so its thread has nothing to wait for any more.
        await asyncio.wait_for(ended.wait(), 20)


async def test_after_its_work_nothing_is_connected_any_more(stage: Stage) -> None:
    async with served(echo) as port, bridge(stage, TcpEndpoint("127.0.0.1", port)) as over:
        assert await over.work(lambda: ask(over.path, b"a", 1), timeout=30.0) == b"a"
        assert await asyncio.to_thread(refused, over.path)


def refused(path: str) -> bool:
    try:
        return ask(path, b"a", 1) == b""
    except OSError:
        return True


async def test_a_cancelled_inspection_ends_it(stage: Stage) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    paths: list[str] = []

    async def inspect(port: int) -> None:
        async with bridge(stage, TcpEndpoint("127.0.0.1", port)) as over:
            paths.append(over.path)

            def wait() -> bytes:
                loop.call_soon_threadsafe(started.set)
                return ask(over.path, b"x", 1)

            await over.work(wait, timeout=30.0)

    async with served(silent) as port:
        task = asyncio.create_task(inspect(port))
        await asyncio.wait_for(started.wait(), 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not Path(paths[0]).parent.exists()
