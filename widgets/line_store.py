"""LineStore: a bounded scrollback of many sources in the order lines arrived.

Whole blocks of bytes and a count of their lines; a block is split only when it is looked at
(textual.md section 2.7: 0.2 µs a line in, 194 MB for a million lines). Line numbers are absolute:
they never change while older blocks fall out at the other end.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque

from textual.cache import LRUCache

from widgets.match import Match

_BLOCK = 128 * 1024
MARK = 1 << 30
"""or'ed into a tag: the line is our own remark, not the source's"""


class LineStore:
    """Args:
    budget: bytes kept; the oldest blocks fall out above it, counted in `forgotten`.
    """

    def __init__(self, budget: int = 64 << 20) -> None:
        self._budget = budget
        self._blocks: deque[tuple[int, bytes]] = deque()
        """(absolute number of the first line, whole lines)"""
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._open_first = 0
        self._bytes = 0
        self._split: LRUCache[int, list[bytes]] = LRUCache(16)
        self._run_first = array("Q")
        self._run_tag = array("L")
        self.end = 0
        """absolute number of the line after the last"""

    @property
    def first(self) -> int:
        """Absolute number of the oldest line kept; as many have been forgotten."""
        return self._blocks[0][0] if self._blocks else self._open_first

    def __len__(self) -> int:
        return self.end - self.first

    def feed(self, data: str, tag: int) -> None:
        """Append whole lines of one source, each ending in a newline."""
        if not data:
            return
        raw = data.encode("utf-8", "replace")
        if not raw.endswith(b"\n"):
            raw += b"\n"
        if not self._run_tag or self._run_tag[-1] != tag:
            self._run_first.append(self.end)
            self._run_tag.append(tag)
        start = 0
        while start < len(raw):
            stop = raw.find(b"\n", min(start + _BLOCK, len(raw)) - 1) + 1
            self._append(raw[start:stop])
            start = stop

    def _append(self, raw: bytes) -> None:
        self._open.append(raw)
        self._open_bytes += len(raw)
        self.end += raw.count(b"\n")
        self._split.discard(self._open_first)
        if self._open_bytes >= _BLOCK:
            self._seal()

    def remark(self, text: str, tag: int) -> None:
        """Append a line of our own: a gap, a rotation, lines that were dropped."""
        self.feed(text.replace("\n", " ") + "\n", tag | MARK)

    def _seal(self) -> None:
        self._blocks.append((self._open_first, b"".join(self._open)))
        self._bytes += self._open_bytes
        self._open, self._open_bytes, self._open_first = [], 0, self.end
        while self._bytes > self._budget and len(self._blocks) > 1:
            self._bytes -= len(self._blocks.popleft()[1])
        stale = bisect_right(self._run_first, self.first) - 1
        if stale > 4096:
            del self._run_first[:stale], self._run_tag[:stale]

    def _lines(self, number: int) -> tuple[int, list[bytes]]:
        """The block a line is in: its first number, its lines."""
        if number >= self._open_first:
            first, parts = self._open_first, self._open
        else:
            index = bisect_right(self._blocks, number, key=lambda block: block[0]) - 1
            first, data = self._blocks[index]
            parts = [data]
        lines = self._split.get(first)
        if lines is None:
            lines = b"".join(parts).split(b"\n")
            lines.pop()
            self._split[first] = lines
        return first, lines

    def line(self, number: int) -> tuple[str, int]:
        """Text and tag of a line between `first` and `end`."""
        first, lines = self._lines(number)
        tag = self._run_tag[bisect_right(self._run_first, number) - 1]
        return lines[number - first].decode("utf-8", "replace"), tag

    def scan(self, match: Match, start: int, hits: array[int]) -> int:
        """Add the numbers of matching lines of the block at `start`; returns where to go on.

        One block is 0.1 to 1 ms: callers take as many as their time allows.
        """
        start = max(start, self.first)
        if start >= self.end:
            return self.end
        first, lines = self._lines(start)
        for offset in range(start - first, len(lines)):
            if match(lines[offset].decode("utf-8", "replace")):
                hits.append(first + offset)
        return first + len(lines)
