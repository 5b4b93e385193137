"""LogPane: lines of any number of sources as they arrive, with where they came from."""

from __future__ import annotations

import re
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region
from textual.strip import Strip

from edxconsole.logs.model import LogBatch, LogSource
from widgets.canvas import Canvas
from widgets.clean import clip, pad
from widgets.commands import Command, bindings
from widgets.ink import Role
from widgets.line_store import MARK, LineStore
from widgets.match import Match
from widgets.row_table import CursorDown, CursorUp, First, Last, PageDown, PageUp
from widgets.words import size
from widgets.wrapping import pieces

_TOKEN = re.compile(
    r"(?P<down>\b(?:ERROR|CRITICAL|FATAL|Traceback|emerg|alert|crit)\b|\[error\]|\" 5\d\d )"
    r"|(?P<degraded>\bWARN(?:ING)?\b|\[warn\]|\" 4\d\d )"
    r"|(?P<dim>^\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?"
    r"|\[\d\d/[A-Z][a-z]{2}/\d{4}:[^\]]{8,20}\]|\b(?:DEBUG|INFO)\b)"
)
_SIDE = 16
_SLICE = 0.004
"""seconds of searching at a time"""
_LONGEST = 2_000
"""characters of a line that are looked at and shown by sideways scrolling"""

_REMARKS = {
    "rotated": "the file was rotated, going on with the new one",
    "truncated": "the file was truncated",
    "missing": "there is no such file; waiting for it",
    "denied": "this login may not read the file",
    "back": "the file is back",
    "disconnected": "the connection was lost; what is written now is read when it is back",
    "resumed": "connected again, going on where it stopped",
}


class PauseLog(Command):
    """Stop following new lines, or follow again. Lines are kept meanwhile."""

    key, title, action, footer = "p", "Pause", "pause", True


class WrapLines(Command):
    """Show long lines whole, over several rows, or one row each again."""

    key, title, action = "W", "Wrap lines", "wrap"


class SideLeft(Command):
    """Scroll long lines back."""

    key, shown, title, action, palette = "left,h", "←", "Left", "side(-1)", False


class SideRight(Command):
    """Scroll long lines sideways."""

    key, shown, title, action, palette = "right,l", "→", "Right", "side(1)", False


class LogPane(Canvas):
    """Follows by default; any move up pauses, going to the end follows again."""

    BINDINGS = bindings(
        PauseLog, WrapLines, CursorDown, CursorUp, PageDown, PageUp, First, Last, SideLeft, SideRight
    )  # fmt: skip

    def __init__(self, title: str = "LOG", *, id: str | None = None, budget: int = 64 << 20) -> None:
        super().__init__(title, id=id)
        self._budget = budget
        self.match = Match("")
        self.following = True
        self.reason = "choose something to follow"
        """what an empty pane says"""
        self._rows: list[tuple[int, int]] = []
        self._side = 0
        self.wrapping = False
        self._cache: LRUCache[object, Strip] = LRUCache(256)
        self.reset(())

    def reset(self, sources: Iterable[LogSource]) -> None:
        """Forget all lines and expect those of other sources."""
        self.store = LineStore(self._budget)
        self.sources = list(sources)
        self._tags = {source: n for n, source in enumerate(self.sources)}
        self._hits: array[int] = array("Q")
        self._scanned = 0
        self._paused_at = 0
        self._base = 0
        """first line of the store when the view was last placed"""
        self.dropped = 0
        """lines that never reached the pane, in all"""
        self.following = True
        self.top = 0
        self._cache.clear()
        self._gutter_widths = self._measure()
        self._say()
        if self.is_mounted:
            self.refresh()

    # Data.

    def feed(self, batches: Iterable[LogBatch]) -> bool:
        """Take what arrived. Returns whether there is more to search in."""
        fresh = False
        for batch in batches:
            fresh = True
            tag = self._tag(batch.source)
            if batch.mark:
                self._remark(batch, tag)
            self.store.feed(batch.data, tag)
        return self.update() if fresh or self._searching else False

    def drop(self, lines: int) -> None:
        """Say where lines were dropped because the console could not keep up."""
        self.dropped += lines
        self.store.remark(f"{lines} lines dropped here, more than the console could take", MARK - 1)

    def _tag(self, source: LogSource) -> int:
        tag = self._tags.get(source)
        if tag is None:
            tag = self._tags[source] = len(self.sources)
            self.sources.append(source)
            self._gutter_widths = self._measure()
        return tag

    def _remark(self, batch: LogBatch, tag: int) -> None:
        if batch.why:
            self.store.remark(f"{batch.why} ({batch.source.path})", tag)
        elif batch.mark == "gap":
            self.store.remark(f"{size(batch.lost / 1024)} could not be read and are missing here", tag)
        elif batch.mark == "dropped":
            self.dropped += batch.lost
            self.store.remark(f"{batch.lost} lines dropped here, they came too fast", tag)
        elif text := _REMARKS.get(batch.mark):
            self.store.remark(f"{text} ({batch.source.path})", tag)

    @property
    def _searching(self) -> bool:
        return bool(self.match) and self._scanned < self.store.end

    def update(self) -> bool:
        """Search and show what is new, for a few milliseconds. Returns whether to call again."""
        deadline = time.perf_counter() + _SLICE
        while self._searching and time.perf_counter() < deadline:
            self._scanned = self.store.scan(self.match, max(self._scanned, self.store.first), self._hits)
        self._forget()
        if self.following:
            self.top = self.last_top
        self._say()
        self.refresh()
        return self._searching

    def _forget(self) -> None:
        """Drop hits of lines that have fallen out, and stay where we are in the text."""
        gone = bisect_left(self._hits, self.store.first)
        if self.match and gone:
            del self._hits[:gone]
            self.top = max(0, self.top - gone)
        elif not self.match and self.store.first != self._base:
            self.top = max(0, self.top - (self.store.first - self._base))
        self._base = self.store.first

    def filter(self, match: Match) -> bool:
        """Show only matching lines. Returns whether the search goes on in `update`."""
        if match == self.match:
            return False
        self.match = match
        self._hits = array("Q")
        self._scanned = self.store.first
        self.following = True
        self._cache.clear()
        return self.update()

    def _say(self) -> None:
        kept = len(self.store)
        words = [f"{len(self.sources)} sources"] if len(self.sources) > 1 else []
        if len(self.sources) == 1:
            words = [f"{self.sources[0].path} on {self.sources[0].host}"]
        if self.match:
            words.append(f"{len(self._hits):,} of {kept:,} lines  /{self.match.text}")
            words += ["searching"] if self._searching else []
        elif kept:
            words.append(f"{kept:,} lines")
        if self.dropped:
            words.append(f"{self.dropped:,} DROPPED")
        if not self.following:
            words.append(f"PAUSED, {self.store.end - self._paused_at:,} new below")
        if self.wrapping:
            words.append("wrapped")
        self.set_note(" · ".join(words))

    # Moving.

    def action_pause(self) -> None:
        self._follow(not self.following)

    def _follow(self, follow: bool) -> None:
        if follow != self.following:
            self.following = follow
            self._paused_at = self.store.end
            if follow:
                self.top = self.last_top
            self._say()
            self.refresh()

    def _go(self, top: int) -> None:
        if top < self.last_top:
            self._follow(False)
            self.scroll_lines_to(top)
        else:
            self._follow(True)

    def action_move(self, step: int) -> None:
        self._go(self.top + step)

    def action_page(self, step: int) -> None:
        lines = self.view_height
        if self.wrapping:
            lines = len(dict(self._placed())) if step > 0 else self._fit_before(self.top + 1)
        self._go(self.top + step * max(1, lines - 1))

    def action_wrap(self) -> None:
        self.wrapping = not self.wrapping
        self.top = self.last_top if self.following else min(self.top, self.last_top)
        self._say()
        self.refresh()

    def action_edge(self, side: int) -> None:
        self._go(0 if side < 0 else self.last_top)

    def action_side(self, step: int) -> None:
        side = max(0, min(self._side + step * _SIDE, _LONGEST))
        if side != self._side:
            self._side = side
            self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._go(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._go(self.top - 3)

    def on_resize(self) -> None:
        super().on_resize()
        if self.following:
            self.top = self.last_top

    # Wrapping. `top` counts lines, also when they take several rows.

    @property
    def last_top(self) -> int:
        return self.length() - self._fit_before(self.length()) if self.wrapping else super().last_top

    def _pieces(self, index: int) -> tuple[list[tuple[str, Style]], list[str], int]:
        """The gutter of a line, its text in pieces, and its tag."""
        width = self.size.width - 1
        text, tag = self.store.line(self._number(index))
        gutter = [("  ", self.ink[Role.TEXT]), *self._gutter(tag & ~MARK, width)]
        room = width - sum(cell_len(t) for t, _ in gutter)
        safe = self.safe(text[: _LONGEST * 2]) + ("…" if len(text) > _LONGEST * 2 else "")
        return gutter, pieces(f"── {safe} ──" if tag & MARK else safe, room, self.view_height), tag

    def _fit_before(self, end: int) -> int:
        """How many of the lines before `end` fit into the view, whole."""
        rows = lines = 0
        while lines < end:
            rows += len(self._pieces(end - lines - 1)[1])
            if rows > self.view_height:
                break
            lines += 1
        return max(lines, min(1, end))

    def _placed(self) -> list[tuple[int, int]]:
        """Line and piece of each row in view."""
        rows: list[tuple[int, int]] = []
        index, length = self.top, self.length()
        while index < length and len(rows) < self.view_height:
            rows += [(index, part) for part in range(len(self._pieces(index)[1]))]
            index += 1
        return rows[: self.view_height]

    def render_lines(self, crop: Region) -> list[Strip]:
        self._rows = self._placed() if self.wrapping else []
        return super().render_lines(crop)

    def _draw(self, y: int, width: int) -> Strip:
        if not self.wrapping or y == 0 or not self.length():
            return super()._draw(y, width)
        if y - 1 >= len(self._rows):
            return self.blank(width)
        index, part = self._rows[y - 1]
        gutter, texts, tag = self._pieces(index)
        if part:
            gutter = [(" " * sum(cell_len(t) for t, _ in gutter), self.ink[Role.TEXT])]
        mark = self.ink[Role.DEGRADED]
        body = [(texts[part], mark)] if tag & MARK else self._highlight(texts[part])
        strip = self.line([*gutter, *body], width - 1)
        sign, style = self._thumb(y - 1, max(self.length(), self.view_height + 1))
        return Strip.join([strip, self.line([(sign, style)], 1)])

    # Drawing.

    def _number(self, index: int) -> int:
        """The store's number of a body line."""
        return self._hits[index] if self.match else self.store.first + index

    def length(self) -> int:
        return len(self._hits) if self.match else len(self.store)

    def empty_text(self) -> str:
        if self.match and len(self.store):
            return "searching" if self._searching else f"no line matches {self.match.text}"
        return "nothing written yet" if self.sources else self.reason

    def _measure(self) -> tuple[int, int]:
        """Gutter widths for host and source; 0 when there is only one."""
        hosts = {s.host for s in self.sources}
        names = {s.name or s.component for s in self.sources}
        return (
            min(12, max(map(cell_len, hosts))) if len(hosts) > 1 else 0,
            min(18, max(map(cell_len, names))) if len(names) > 1 else 0,
        )

    def body_strip(self, index: int, width: int) -> Strip:
        number = self._number(index)
        key = (number, self._side, width, self.ink, self._gutter_widths)
        strip = self._cache.get(key)
        if strip is None:
            strip = self._cache[key] = self._line_strip(number, width)
        return strip

    def _line_strip(self, number: int, width: int) -> Strip:
        ink = self.ink
        text, tag = self.store.line(number)
        runs = [("  ", ink[Role.TEXT]), *self._gutter(tag & ~MARK, width)]
        room = width - sum(cell_len(t) for t, _ in runs)
        safe = self.safe(text[: _LONGEST * 2])
        if tag & MARK:
            runs.append((clip(f"── {safe} ──", room), ink[Role.DEGRADED]))
        else:
            runs += self._highlight(clip(safe[self._side :], room))
        return self.line(runs, width)

    def _gutter(self, tag: int, width: int) -> list[tuple[str, Style]]:
        if tag >= len(self.sources) or width < 70:
            return []
        source, ink = self.sources[tag], self.ink
        hosts, names = self._gutter_widths
        runs = []
        if hosts:
            runs.append((pad(source.host, hosts) + " ", ink[Role.ACCENT]))
        if names:
            runs.append((pad(source.name or source.component, names) + " ", ink[Role.DIM]))
        return [*runs, ("│ ", ink[Role.FAINT])] if runs else []

    def _highlight(self, text: str) -> list[tuple[str, Style]]:
        """Levels, server errors and the filter's words, in the part of the line that is shown."""
        ink = self.ink
        spans = [(m.start(), m.end(), Role(m.lastgroup or "text")) for m in _TOKEN.finditer(text)]
        for word in self.match.wanted:
            spans += self._words(text, word)
        runs: list[tuple[str, Style]] = []
        at = 0
        for start, end, role in sorted(spans, key=lambda s: (s[0], s[2] is not Role.MATCH)):
            if start < at:
                continue
            runs += [(text[at:start], ink[Role.TEXT]), (text[start:end], ink[role])]
            at = end
        return [*runs, (text[at:], ink[Role.TEXT])]

    @staticmethod
    def _words(text: str, word: str) -> list[tuple[int, int, Role]]:
        there = text if word != word.lower() else text.lower()
        found, at = [], there.find(word)
        while at >= 0 and len(there) == len(text):
            found.append((at, at + len(word), Role.MATCH))
            at = there.find(word, at + len(word))
        return found
