"""A terminal: runs a program in a real pty, types keys, and keeps every byte with its time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SIZE = (120, 36)
FIRST = 1
"""real-time priority of the program and of what reads its terminal: what else runs here must not be timed"""
FRAME_BEGIN, FRAME_END = b"\x1b[?2026h", b"\x1b[?2026l"
_ASKS_SYNC = b"\x1b[?2026$p"
_HAS_SYNC = b"\x1b[?2026;2$y"


def undisturbed(argv: Sequence[str]) -> list[str]:
    """The same command before all other programs of this machine, where we are root."""
    return ["chrt", "--rr", str(FIRST), *argv] if os.geteuid() == 0 else list(argv)


class TooLate(Exception):
    """What was waited for did not appear."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as one read gave them; `at` time.monotonic()."""

    at: float
    data: bytes


class Terminal:
    """A program on a terminal of `size` columns and rows, which knows synchronized output.

    Args:
        tell: the environment variable that shall name a descriptor for the program to write facts to.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        size: tuple[int, int] = SIZE,
        tell: str | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self._chunks: list[Chunk] = []
        self._news = threading.Condition()
        told, telling = os.pipe() if tell else (-1, -1)
        environment = {**environment, tell: str(telling)} if tell else environment
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            undisturbed(argv), env=environment, start_new_session=True,
            stdin=slave, stdout=slave, stderr=slave, pass_fds=(telling,) if tell else (),
        )  # fmt: skip
        os.close(slave)
        self.facts: list[str] = []
        readers = [threading.Thread(target=self._read, daemon=True)]
        if tell:
            os.close(telling)
            readers.append(threading.Thread(target=self._listen, args=(told,), daemon=True))
        self._readers = readers
        for reader in readers:
            reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def position(self) -> int:
        """How many chunks there are: where to look from, for what comes next."""
        return len(self._chunks)

    def chunks(self, since: int = 0) -> list[Chunk]:
        return self._chunks[since:]

    def frames(self, since: int = 0) -> list[Chunk]:
        """Whole frames, each with the time of its last byte."""
        found: list[Chunk] = []
        rest = b""
        for chunk in self.chunks(since):
            rest += chunk.data
            while FRAME_END in rest:
                frame, _, rest = rest.partition(FRAME_END)
                found.append(Chunk(chunk.at, frame.rpartition(FRAME_BEGIN)[2]))
        return found

    def type(self, keys: bytes) -> float:
        """Press keys; time.monotonic() right before."""
        at = time.monotonic()
        os.write(self._master, keys)
        return at

    def wait_for(self, wanted: bytes, since: int = 0, limit: float = 30.0) -> float:
        """When the read that completed `wanted` returned. Raises TooLate."""
        deadline = time.monotonic() + limit
        looked, seen = since, b""
        with self._news:
            while True:
                while looked < len(self._chunks):
                    chunk = self._chunks[looked]
                    looked += 1
                    seen = seen[-len(wanted) :] + chunk.data
                    if wanted in seen:
                        return chunk.at
                left = deadline - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    raise TooLate(f"no {wanted!r} in {limit} s; the last: {self.tail()!r}")

    def wait_frame(self, since: int, limit: float = 5.0) -> float:
        """When the first frame after `since` was complete."""
        return self.wait_for(FRAME_END, since, limit)

    def wait_quiet(self, seconds: float, limit: float = 30.0) -> None:
        """Until nothing was painted for so long."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            before = self.position
            time.sleep(seconds)
            if self.position == before:
                return
        raise TooLate(f"never quiet for {seconds} s within {limit} s")

    def tail(self) -> bytes:
        return b"".join(chunk.data for chunk in self._chunks[-20:])[-1500:]

    def close(self) -> None:
        """Tell it to end, or kill it."""
        self.process.terminate()
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self._readers:
            reader.join(2)
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(FIRST))
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            at = time.monotonic()
            if _ASKS_SYNC in data:
                os.write(self._master, _HAS_SYNC)
            with self._news:
                self._chunks.append(Chunk(at, data))
                self._news.notify_all()

    def _listen(self, told: int) -> None:
        with os.fdopen(told) as lines:
            for line in lines:
                self.facts.append(line.rstrip("\n"))
