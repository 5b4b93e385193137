"""This machine as a host: real sockets and real processes, with as little as possible in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edxconsole.errors import CommandFailed, CommandTimedOut, StreamRefused
from edxconsole.transport.base import (
    ConnectionInfo,
    Endpoint,
    Process,
    Result,
    Stream,
    UnixEndpoint,
)


class Here:
    """Implements the parts of Transport that services use; records what was asked of it."""

    host_name = "here"
    connected = True
    info = ConnectionInfo("test")

    def __init__(self) -> None:
        self.opened: list[Endpoint] = []
        self.ran: list[tuple[str | None, tuple[str, ...]]] = []
        self.refuse: set[Endpoint] = set()
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> None:
        """Nothing to do."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        self.ran.append((become, tuple(argv)))
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError:
            return Result(tuple(argv), 127, b"", b"not found")
        try:
            async with asyncio.timeout(timeout):
                out, err = await process.communicate(stdin)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise CommandTimedOut(f"no end in {timeout} s") from error
        return Result(tuple(argv), process.returncode, out[:max_output], err[:max_output])

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        raise CommandFailed("this transport starts nothing that stays", host=self.host_name)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        self.opened.append(endpoint)
        if endpoint in self.refuse:
            raise StreamRefused("permission denied", host=self.host_name)
        try:
            async with asyncio.timeout(timeout):
                if isinstance(endpoint, UnixEndpoint):
                    reader, writer = await asyncio.open_unix_connection(endpoint.path)
                else:
                    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        except (OSError, TimeoutError) as error:
            raise StreamRefused(f"can't open {endpoint}", host=self.host_name) from error
        self.writers.append(writer)
        return Stream(reader, writer, "local")

    async def wait_lost(self) -> str:
        await asyncio.Event().wait()
        return ""

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                continue
