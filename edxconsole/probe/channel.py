"""A running probe: typed frames come out of it, commands go in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edxconsole.errors import (
    CommandTimedOut,
    EdxconsoleError,
    ProbeDied,
    ProbeError,
    ProtocolViolation,
    TransportError,
)
from edxconsole.probe.decode import Decoder
from edxconsole.probe.frames import MAX_FRAME, AnyFrame, Hello, Reply
from edxconsole.transport.base import Process

PING_AFTER = 12.0
"""seconds without a command; the probe ends itself after 30 s without a word"""
REQUEST_TIMEOUT = 10.0
READ_SIZE = 256 * 1024
MAX_NOISE = 64 * 1024
"""bytes of banners and shell chatter accepted before the first frame"""
MAX_QUEUED = 2000
"""frames that may wait for the consumer before the host is made to wait"""
MAX_STDERR = 4096
_HELLO = b'"edxprobe"'


@dataclass(frozen=True, slots=True)
class Echo:
    """One exchange of clocks, seconds. `skew` host minus console, true to within `rtt / 2`."""

    rtt: float
    skew: float


class ProbeChannel:
    """The console's end of one probe. Made by `launch()`; `hello` is set from then on.

    A task reads the stream in chunks; `frames()` has one consumer. Frames wait in a bounded
    queue: when it is full the task stops reading and the probe feels it, unless an answer is
    awaited. A probe that breaks the protocol is cut off at once.
    """

    hello: Hello

    def __init__(self, process: Process, host_name: str) -> None:
        self.host_name = host_name
        self.exit_status: int | None = None
        self._process = process
        self._decoder = Decoder(host_name)
        self._queue: deque[AnyFrame] = deque()
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._greeted = asyncio.Event()
        self._ended = False
        self._failure: EdxconsoleError | None = None
        self._closing = False
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._ident = 0
        self._spoke = time.monotonic()
        self._noise = 0
        self._chatter: list[bytes] = []
        self._errors = b""
        self._tasks: list[asyncio.Task[None]] = []
        self._drain = asyncio.Lock()

    @property
    def stderr_text(self) -> str:
        """The end of what it wrote to stderr: one line, printable."""
        return _in_one_line(self._errors.splitlines()[-3:])

    @property
    def chatter(self) -> str:
        """The beginning of what came on stdout before hello: one line, printable."""
        return _in_one_line(self._chatter[:2])

    @property
    def queued(self) -> int:
        """Frames that wait for the consumer of `frames()`."""
        return len(self._queue)

    def begin(self, program: bytes) -> None:
        """Send the program and start to read and to ping."""
        with suppress(TransportError):  # the reader finds out why, with the host's own words
            self._process.stdin.write(program)
        self._tasks = [
            asyncio.create_task(self._read_frames()),
            asyncio.create_task(self._read_errors()),
            asyncio.create_task(self._ping()),
        ]

    async def wait_hello(self) -> Hello:
        """The first frame. Raises ProbeDied, ProtocolViolation or TransportError instead."""
        await self._greeted.wait()
        if not hasattr(self, "hello"):
            raise self._failure or ProbeDied("the probe ended before its first frame", host=self.host_name)
        return self.hello

    async def frames(self) -> AsyncIterator[AnyFrame]:
        """Every frame, hello first, until it is closed. For one consumer.

        Raises:
            ProbeDied, ProtocolViolation, TransportError: it ended by itself; after the last frame.
        """
        while True:
            while self._queue:
                frame = self._queue.popleft()
                self._taken.set()
                yield frame
            if self._ended:
                if self._failure is not None and not self._closing:
                    raise self._failure
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def request(self, verb: str, timeout: float = REQUEST_TIMEOUT, **fields: Any) -> Reply:
        """Send a command and await its answer. A Reply with `error` set is returned, not raised.

        Raises:
            CommandTimedOut, and whatever ended the probe.
        """
        self._check()
        ident = self._new_id()
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[ident] = future
        self._taken.set()
        try:
            await self.send(verb, id=ident, **fields)
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise CommandTimedOut(
                f"the probe did not answer `{verb}` in {timeout:.0f} s", host=self.host_name
            ) from None
        finally:
            self._waiting.pop(ident, None)

    async def send(self, verb: str, **fields: Any) -> None:
        """Send a command without awaiting an answer."""
        self._check()
        line = json.dumps({"c": verb, **fields}).encode() + b"\n"
        if len(line) > MAX_FRAME:
            raise ProbeError("a command to the probe is too long", host=self.host_name)
        self._spoke = time.monotonic()
        self._process.stdin.write(line)
        async with self._drain:
            await self._process.stdin.drain()

    async def follow(
        self,
        path: str,
        *,
        id: int,
        last: int | None = None,
        resume: tuple[int, int, int] | None = None,
        before: bytes = b"",
        whole: bool = False,
    ) -> Reply:
        """Follow a file through rotations; chunks come as LogChunk frames with this id.

        It begins at the end; or `last` lines before it; or at `resume` (device, inode, offset),
        reading what was rotated since; or at the beginning (`whole`). `before`, the bytes that end at
        the resumed offset, tells a file that was truncated and grew again from the one it was.
        """
        return await self.request(
            "follow",
            follow=id,
            path=path,
            last=last,
            resume=list(resume) if resume else None,
            whole=whole,
            before=base64.b64encode(before).decode(),
        )

    async def unfollow(self, id: int) -> Reply:
        return await self.request("unfollow", follow=id)

    async def stat(self, path: str) -> Reply:
        """value: {path kind size mtime uid gid mode device inode readable}."""
        return await self.request("stat", path=path)

    async def glob(self, pattern: str) -> Reply:
        """value: a list as of `stat`, at most 500, sorted by path."""
        return await self.request("glob", path=pattern)

    async def read(self, path: str, *, offset: int = 0, length: int = 1 << 20) -> bytes:
        """Bytes of a regular file; a negative offset counts from its end.

        Raises:
            ProbeError: the host says no; its cause has the errno's name and the path.
        """
        parts: list[bytes] = []
        while length > 0:
            reply = await self.request("read", path=path, offset=offset, length=length)
            data, offset = self._piece(reply)
            if not data:
                break
            parts.append(data)
            offset += len(data)
            length -= len(data)
        return b"".join(parts)

    def _piece(self, reply: Reply) -> tuple[bytes, int]:
        if reply.error:
            raise ProbeError(reply.error, host=self.host_name)
        value = reply.value
        if isinstance(value, Mapping) and isinstance(value.get("data"), str):
            with suppress(binascii.Error, ValueError):
                return base64.b64decode(value["data"], validate=True), int(value["offset"])
        raise ProtocolViolation("the probe sent a strange answer to a read", host=self.host_name)

    async def search(
        self, path: str, text: str, *, fold: bool = False, before: int | None = None, limit: int = 100
    ) -> Reply:
        """value: [[offset, line]...] newest first, searched on the host, at most 256 MiB back."""
        return await self.request(
            "search", timeout=60.0, path=path, text=text, fold=fold, before=before, limit=limit
        )

    async def seek(self, path: str, when: float) -> Reply:
        """value: {offset, size}: where the first line at or after epoch second `when` begins."""
        return await self.request("seek", path=path, when=when)

    async def connections(self) -> Reply:
        """value: [[inbound, local address, service port, peer address, count, uid]...], established TCP."""
        return await self.request("connections")

    async def pace(self, hz: float) -> Reply:
        """Samples per second from now on, 1/60 to 10."""
        return await self.request("pace", hz=hz)

    async def resync(self) -> Reply:
        """Have everything sent whole again."""
        return await self.request("resync")

    async def echo(self) -> Echo:
        """Round trip and clock skew. Take the one with the smallest rtt of several."""
        sent, wall = time.monotonic(), time.time()
        reply = await self.request("echo")
        rtt = time.monotonic() - sent
        if not isinstance(reply.value, float):
            raise ProtocolViolation("the probe sent a strange echo", host=self.host_name)
        return Echo(rtt=rtt, skew=reply.value - (wall + rtt / 2))

    async def close(self) -> None:
        """End the probe and release its session. Idempotent, never raises what the host caused."""
        self._closing = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._end(None)
        with suppress(TransportError):
            self._process.stdin.write_eof()
        with suppress(TransportError):
            await self._process.close()

    def _check(self) -> None:
        if self._ended or self._closing:
            raise self._failure or ProbeDied("the probe has ended", host=self.host_name)

    def _new_id(self) -> int:
        self._ident += 1
        return self._ident

    async def _read_frames(self) -> None:
        failure: EdxconsoleError
        try:
            await self._pump()
            failure = await self._obituary()
        except EdxconsoleError as error:
            failure = error
        self._end(failure)
        if isinstance(failure, ProtocolViolation):
            await self._process.close()

    async def _pump(self) -> None:
        """Chunks to lines to frames, until EOF."""
        rest = b""
        while chunk := await self._process.stdout.read(READ_SIZE):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                self._line(line)
            if len(rest) > MAX_FRAME:
                raise ProtocolViolation(
                    "the probe sent a line without end",
                    host=self.host_name,
                    remedy="look at what the login shell of this host prints",
                )
            while len(self._queue) > MAX_QUEUED and not self._waiting:
                self._taken.clear()
                await self._taken.wait()

    def _line(self, line: bytes) -> None:
        """One line: noise of a login shell before hello, frames after it."""
        if not self._greeted.is_set() and not (line.startswith(b"{") and _HELLO in line):
            self._noise += len(line) + 1
            if len(self._chatter) < 2:
                self._chatter.append(line[:100])
            if self._noise > MAX_NOISE:
                raise ProtocolViolation(
                    "the host talks, but not as a probe",
                    host=self.host_name,
                    remedy="make its shell start-up files silent for commands",
                )
            return
        frame = self._decoder.decode(line)
        if frame is None:
            return
        if isinstance(frame, Hello):
            self.hello = frame
            self._greeted.set()
        if isinstance(frame, Reply):
            future = self._waiting.get(frame.id)
            if future is not None and not future.done():
                future.set_result(frame)
        self._queue.append(frame)
        self._arrived.set()

    async def _obituary(self) -> ProbeDied:
        """Why it ended, in one sentence, once its last words have arrived."""
        with suppress(TimeoutError, TransportError):
            async with asyncio.timeout(2.0):
                self.exit_status = await self._process.wait()
        await asyncio.sleep(0)
        status = "" if self.exit_status is None else f" with status {self.exit_status}"
        words = f" ({self.stderr_text})" if self.stderr_text else ""
        return ProbeDied(f"the probe ended{status}{words}", host=self.host_name)

    async def _read_errors(self) -> None:
        with suppress(TransportError):
            while chunk := await self._process.stderr.read(4096):
                self._errors = (self._errors + chunk)[-MAX_STDERR:]

    async def _ping(self) -> None:
        with suppress(EdxconsoleError):
            while True:
                wait = self._spoke + PING_AFTER - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                else:
                    await self.send("ping")

    def _end(self, failure: EdxconsoleError | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._failure = failure
        self._greeted.set()
        self._arrived.set()
        self._taken.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(failure or ProbeDied("the probe was closed", host=self.host_name))


def _in_one_line(lines: list[bytes]) -> str:
    texts = (x.decode("utf-8", "replace") for x in lines)
    clean = ("".join(c if c.isprintable() else " " for c in text).strip() for text in texts)
    return " / ".join(x for x in clean if x)[:300]
