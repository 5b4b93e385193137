"""The bytes of a container's output as Docker's API sends them: frames, times, whole lines. Pure.

Without a terminal each message is a frame: one byte for the stream (1 stdout, 2 stderr, 3 an error of
dockerd's own), three zeros, four bytes of length (big-endian), the message. With a terminal there are no
frames. With `timestamps` each message begins with its time, and a line of more than 16 KiB is several
messages of the same time (docs.docker.com/engine/api, "Attach"; dockerd 20.10.24: daemon/logger/copier.go).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

from edxconsole.errors import NotUnderstood
from edxconsole.services.docker_units import stamp

HEAD = 8
MAX_MESSAGE = 256 * 1024
"""bytes of one frame that are kept; Docker's own have 16 KiB"""
MAX_HELD = 64 * 1024
"""bytes without a newline after which a line is cut"""
PART = 16 * 1024
"""bytes of a line after which Docker begins another message"""
SLACK = 250_000_000
"""nanoseconds by which lines of the two streams may be out of order"""
REMEMBERED = 20_000
"""lines remembered to know them again"""

DAEMON = 3
_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z) ")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line without its newline. `at`: nanoseconds since 1970, host clock; 0 when never told."""

    at: int
    text: str


class Frames:
    """Takes bytes as they come, gives (stream, message) of each whole frame.

    Messages above MAX_MESSAGE are cut; `skipped` counts the bytes that were.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._held = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Raises NotUnderstood where no frame begins; nothing more comes out then."""
        self._held += data
        while True:
            if self._skip:
                gone = min(self._skip, len(self._held))
                del self._held[:gone]
                self._skip -= gone
            if self._skip or len(self._held) < HEAD:
                return
            stream, size = self._held[0], int.from_bytes(self._held[4:HEAD], "big")
            if stream > DAEMON or any(self._held[1:4]):
                raise NotUnderstood("Docker's stream is not made of frames")
            kept = min(size, MAX_MESSAGE)
            if len(self._held) < HEAD + kept:
                return
            message = bytes(self._held[HEAD : HEAD + kept])
            del self._held[: HEAD + kept]
            self._skip = size - kept
            self.skipped += self._skip
            yield stream, message


class LogLines:
    """Whole lines with their times, out of a container's log asked for with `timestamps`.

    Args:
        tty: whether the container has a terminal, so that there are no frames.
    """

    def __init__(self, *, tty: bool) -> None:
        self._frames = None if tty else Frames()
        self._begun: dict[int, tuple[int, bytearray]] = {}
        """stream -> (time, what has no newline yet)"""
        self._last = 0
        self._raw = bytearray()

    @property
    def skipped(self) -> int:
        """Bytes of messages that were too long to be kept."""
        return self._frames.skipped if self._frames else 0

    def take(self, data: bytes) -> Iterator[LogLine]:
        """The lines that are whole now. Raises NotUnderstood."""
        if self._frames is None:
            yield from self._of_terminal(data)
            return
        for stream, message in self._frames.feed(data):
            yield from self._of_message(stream, message)

    def end(self) -> Iterator[LogLine]:
        """What was begun and will not go on, as the stream has ended."""
        if self._raw:
            yield self._line(bytes(self._raw))
        self._raw.clear()
        for at, held in self._begun.values():
            yield LogLine(at, _text(bytes(held)))
        self._begun.clear()

    def _of_terminal(self, data: bytes) -> Iterator[LogLine]:
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._raw += line
            yield self._line(bytes(self._raw))
            self._raw.clear()
        self._raw += rest
        if len(self._raw) > MAX_HELD:
            yield self._line(bytes(self._raw))
            self._raw.clear()

    def _line(self, raw: bytes) -> LogLine:
        """One line of a terminal, put together from its messages."""
        match = _TIME.match(raw)
        if match is None:
            return LogLine(self._last, _text(raw))
        prefix = match[0]
        parts = [raw[i : i + PART + len(prefix)] for i in range(0, len(raw), PART + len(prefix))]
        if not all(part.startswith(prefix) for part in parts):
            return LogLine(self._time(match[1]), _text(raw[len(prefix) :]))
        return LogLine(self._time(match[1]), _text(b"".join(part[len(prefix) :] for part in parts)))

    def _of_message(self, stream: int, message: bytes) -> Iterator[LogLine]:
        match = _TIME.match(message)
        at = self._time(match[1]) if match else self._last
        body = message[match.end() :] if match else message
        if stream == DAEMON:
            yield LogLine(at, f"Docker says: {_text(body.strip())}")
            return
        began, held = self._begun.pop(stream, (at, bytearray()))
        *whole, rest = body.split(b"\n")
        for line in whole:
            held += line
            yield LogLine(began, _text(bytes(held)))
            began, held = at, bytearray()
        held += rest
        if len(held) > MAX_HELD:
            yield LogLine(began, _text(bytes(held)))
        elif held:
            self._begun[stream] = (began, held)

    def _time(self, said: bytes) -> int:
        self._last = stamp(said.decode("ascii")) or self._last
        return self._last


class LogPlace:
    """Where one is in a container's log, so that another stream goes on there: nothing twice, nothing left.

    Docker begins a stream at a time. Several lines may have the same, and those of stdout and stderr may
    be out of order by a little: the last of them are remembered, asked for again, and known again.

    Args:
        middle: the first line read is not the log's first, and what is before it is not wanted.
    """

    def __init__(self, *, middle: bool = False) -> None:
        self._recent: deque[tuple[int, int]] = deque()
        self._again: Counter[tuple[int, int]] = Counter()
        self._newest: int | None = None
        self._floor: int | None = None if middle else 0
        self._looking = False

    @property
    def since(self) -> int | None:
        """The time to ask from, nanoseconds; None when nothing was seen yet."""
        return None if self._newest is None else max(0, self._newest - SLACK, self._floor or 0)

    def resume(self) -> None:
        """Another stream begins at `since`."""
        self._again = Counter(self._recent)
        self._looking = bool(self._recent)

    def fresh(self, line: LogLine) -> tuple[bool, bool]:
        """Whether this line was not seen yet, and whether lines before it may be gone."""
        key = (line.at, hash(line.text))
        if self._again[key] > 0:
            self._again[key] -= 1
            self._looking = False
            return False, False
        gap, self._looking = self._looking, False
        self._remember(key)
        return True, gap

    def _remember(self, key: tuple[int, int]) -> None:
        self._recent.append(key)
        self._floor = key[0] if self._floor is None else self._floor
        self._newest = max(self._newest or 0, key[0])
        while self._recent[0][0] < self._newest - SLACK:
            self._recent.popleft()
        if len(self._recent) > REMEMBERED:
            self._recent.popleft()
            self._floor = max(self._floor, self._recent[0][0])


def _text(raw: bytes) -> str:
    return raw.removesuffix(b"\r").decode("utf-8", "replace")
