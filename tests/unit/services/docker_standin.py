"""A stand-in for dockerd on a real UNIX socket: answers as recorded, or as badly as a test wants.

For what the real one can't be made to do: stall, talk nonsense, flood. See tests/hosts for the real one.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edxconsole.transport.base import UnixEndpoint

STREAMS: Any = json.loads((Path(__file__).parent / "docker_api" / "streams.json").read_text())[0]
RECORDED: Any = json.loads((Path(__file__).parent / "docker_api" / "20.10.24.json").read_text())

CLOSES = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
"""begins the answer to an exec: neither a length nor chunks, the end of the connection ends it"""
Bad = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Standin:
    """`bad` answers in its place, for paths that begin so."""

    def __init__(self, path: Path) -> None:
        self.socket = UnixEndpoint(str(path), "root")
        self.inspect = {told["Id"]: copy.deepcopy(told) for told in RECORDED["inspect"].values()}
        self.bad: dict[str, Bad] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.exit_status = 0
        """of what is run in a container"""
        self._events: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._path = path

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._events:
            writer.close()
        self._path.unlink(missing_ok=True)

    def ident(self, service: str) -> str:
        return str(RECORDED["inspect"][service]["Id"])

    def happen(self, service: str, action: str, **state: object) -> None:
        """Change a container's state, if it is there still, and tell it as an event."""
        ident = self.ident(service)
        if ident in self.inspect:
            self.inspect[ident]["State"] |= state
        event = {"Type": "container", "Action": action, "Actor": {"ID": ident, "Attributes": {}}}
        self.say(json.dumps(event).encode() + b"\n")

    def say(self, data: bytes) -> None:
        """Anything among the events."""
        for writer in self._events:
            writer.write(chunk(data))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.decode().split(" ", 2)
                length = re.search(rb"(?i)content-length: (\d+)", head)
                self.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
                self.asked.append(f"{method} {target}")
                path = target.partition("?")[0]
                bad = next((b for start, b in self.bad.items() if path.startswith(start)), None)
                if bad is not None:
                    await bad(writer)
                elif path == "/events":
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    self._events.add(writer)
                else:
                    answer = self._answer(method, path)
                    writer.write(answer)
                    if answer.startswith(CLOSES):
                        writer.close()
                        return
        except (asyncio.IncompleteReadError, ConnectionError):
            self._events.discard(writer)
            writer.close()

    def _answer(self, method: str, path: str) -> bytes:
        if path == "/_ping":
            return whole(b"OK")
        if path == "/version":
            return whole(json.dumps(RECORDED["version"]).encode())
        if path == "/containers/json":
            return whole(json.dumps(RECORDED["list"]).encode())
        if path.startswith("/exec/"):
            return self._exec(path)
        _, _, ident, what = path.split("/")
        if ident not in self.inspect:
            return whole(b'{"message":"No such container: x"}', "404 Not Found")
        if what == "exec":
            return whole(b'{"Id":"%s"}' % (b"e" * 64), "201 Created")
        if what == "logs":
            return streamed(b64decode(STREAMS["logs"]))
        if what == "stats":
            return whole(json.dumps(STREAMS["stats_of_a_running_container"]).encode())
        if method == "POST":
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        return whole(json.dumps(self.inspect[ident]).encode()) if what == "json" else whole(b"", "400 Bad")

    def _exec(self, path: str) -> bytes:
        if path.endswith("/start"):
            return CLOSES + b64decode(STREAMS["exec_printed"])
        return whole(json.dumps(STREAMS["exec_ended"] | {"ExitCode": self.exit_status}).encode())


def streamed(body: bytes) -> bytes:
    """A chunked answer, as that of a log."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(body) + b"0\r\n\r\n"


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def says(data: bytes, *, close: bool = False) -> Bad:
    """Answers with these bytes."""

    async def bad(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            writer.close()

    return bad


async def silent(writer: asyncio.StreamWriter) -> None:
    """Takes the request and never answers."""


async def endless(writer: asyncio.StreamWriter) -> None:
    """An answer that never ends, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(chunk(b" " * 60000))
        await writer.drain()
