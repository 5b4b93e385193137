"""Chunks of one followed file to whole lines, through rotations and reconnections. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edxconsole.logs.model import LogBatch, LogSource
from edxconsole.probe.frames import LogChunk

MAX_HELD = 64 * 1024
"""characters without a newline after which a line is cut"""
MAX_INODES = 4
"""files of one name still read after rotations"""

Inode = tuple[int, int]


@dataclass(slots=True)
class _Part:
    """What is known of one inode: where we are in it, and the line begun there."""

    end: int
    text: str = ""
    before: str = ""
    """the last characters that were read, as far as they are sure"""


class LineKeeper:
    """Whole lines of one source. Keeps the position to resume at.

    A line begun in a file that was copied and truncated goes on in the copy: the parts are
    joined where one begins at the offset at which the other ended.
    """

    def __init__(self, source: LogSource) -> None:
        self.source = source
        self._parts: dict[Inode, _Part] = {}
        self._newest: Inode | None = None
        self._resuming = False

    @property
    def position(self) -> tuple[int, int, int] | None:
        """(device, inode, offset) of the first byte not seen yet; None before the first chunk."""
        if self._newest is None:
            return None
        return (*self._newest, self._parts[self._newest].end)

    @property
    def before(self) -> bytes:
        """The bytes that end at `position`, b"" when they are not known for sure."""
        if self._newest is None or "\ufffd" in self._parts[self._newest].before:
            return b""
        return self._parts[self._newest].before.encode("utf-8", "replace")

    def disconnected(self, at: float) -> LogBatch:
        """The connection was lost; what was begun stays until it comes back."""
        self._resuming = True
        return LogBatch(self.source, at, mark="disconnected")

    def take(self, chunk: LogChunk, at: float) -> Iterator[LogBatch]:
        """Batches for one chunk, marks first."""
        mark = "resumed" if self._resuming and chunk.mark in ("", "start", "rotated") else chunk.mark
        inode = (chunk.device, chunk.inode)
        if chunk.mark == "truncated" and inode in self._parts:
            yield from self._flush(self._parts.pop(inode), at)
        if chunk.inode:
            self._resuming = False
            self._enter(inode, chunk.offset)
        if mark or chunk.lost:
            yield LogBatch(self.source, at, mark=mark or "gap", lost=chunk.lost)
        if not chunk.inode:
            return
        yield from self._lines(self._parts[inode], chunk, at)
        yield from self._forget_oldest(at)

    def _enter(self, inode: Inode, offset: int) -> None:
        if inode in self._parts:
            return
        joined = next((p for p in self._parts.values() if p.text and offset and p.end == offset), None)
        self._parts[inode] = _Part(offset, joined.text if joined else "")
        if joined is not None:
            joined.text = ""
        # The recovered copy of a truncated file begins where that file ended, the next file at 0.
        if self._newest is None or joined is None:
            self._newest = inode

    def _lines(self, part: _Part, chunk: LogChunk, at: float) -> Iterator[LogBatch]:
        if part.end != chunk.offset and part.text:
            yield from self._flush(part, at)
        part.before = ((part.before if part.end == chunk.offset else "") + chunk.data)[-64:]
        part.end = chunk.offset + (chunk.length or len(chunk.data.encode("utf-8", "replace")))
        head, newline, tail = (part.text + chunk.data).rpartition("\n")
        part.text = tail
        if newline:
            yield LogBatch(self.source, at, data=head + "\n")
        if len(part.text) > MAX_HELD:
            yield from self._flush(part, at)

    def _forget_oldest(self, at: float) -> Iterator[LogBatch]:
        while len(self._parts) > MAX_INODES:
            oldest = next(i for i in self._parts if i != self._newest)
            yield from self._flush(self._parts.pop(oldest), at)

    def _flush(self, part: _Part, at: float) -> Iterator[LogBatch]:
        """A begun line that will not go on."""
        if part.text:
            yield LogBatch(self.source, at, data=part.text + "\n")
            part.text = ""
