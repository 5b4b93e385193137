"""RowTable: any table of the console. Columns and rows are data; only changed rows repaint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.message import Message
from textual.strip import Strip

from widgets.canvas import Canvas
from widgets.cells import GAP, Column, Row, fit
from widgets.clean import clip, clip_start, pad
from widgets.commands import Command, bindings
from widgets.ink import Role
from widgets.match import Match

GUTTER = 2


class CursorDown(Command):
    """Move to the next row."""

    key, shown, title, action, palette = "down,j", "↓", "Next", "move(1)", False


class CursorUp(Command):
    """Move to the row before."""

    key, shown, title, action, palette = "up,k", "↑", "Previous", "move(-1)", False


class PageDown(Command):
    """Move down by a page."""

    key, title, action, palette = "pagedown,ctrl+f", "Page down", "page(1)", False


class PageUp(Command):
    """Move up by a page."""

    key, title, action, palette = "pageup,ctrl+b", "Page up", "page(-1)", False


class First(Command):
    """Go to the first row."""

    key, title, action, palette = "home,g", "First", "edge(-1)", False


class Last(Command):
    """Go to the last row."""

    key, shown, title, action, palette = "end,G", "G", "Last", "edge(1)", False


class OpenRow(Command):
    """Drill down into what the cursor is on."""

    key, shown, title, action, footer, palette = "enter", "⏎", "Open", "open", True, False


class MarkRow(Command):
    """Mark or unmark the row, to do something with several at once."""

    key, title, action, palette = "space", "Mark", "mark", False


class RowTable(Canvas):
    """A table with a cursor bound to a row's key, a filter, marks and lit (linked) rows."""

    BINDINGS = bindings(
        CursorDown, CursorUp, PageDown, PageUp, First, Last, OpenRow, MarkRow
    )  # fmt: skip

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        table: RowTable
        key: str

        @property
        def control(self) -> RowTable:
            return self.table

    @dataclass
    class Opened(Message):
        """Enter or a second click on a row."""

        table: RowTable
        key: str

        @property
        def control(self) -> RowTable:
            return self.table

    @dataclass
    class Marked(Message):
        """The set of marked rows changed."""

        table: RowTable
        keys: frozenset[str]

        @property
        def control(self) -> RowTable:
            return self.table

    def __init__(
        self,
        title: str,
        columns: Sequence[Column],
        *,
        id: str | None = None,
        empty: str = "nothing here",
        header_from: int = 6,
    ) -> None:
        super().__init__(title, id=id)
        self.columns = tuple(columns)
        self.rows: list[Row] = []
        """those that pass the filter, in order"""
        self.cursor_key: str | None = None
        self.marked: frozenset[str] = frozenset()
        self.lit: frozenset[str] = frozenset()
        self.match = Match("")
        self._all: list[Row] = []
        self._index: dict[str, int] = {}
        self._version: dict[str, int] = {}
        self._known: dict[str, Row] = {}
        self._cache: LRUCache[object, Strip] = LRUCache(256)
        self.drawn = 0
        """rows composed anew so far, for tests"""
        self._empty = empty
        self._blank_text = ""
        """what stands where rows would"""
        self._header_from = header_from
        """least height at which column titles are shown; 0 is never"""
        self.waiting = "waiting for the first answer"
        self.heard = False

    # Data.

    def show(self, rows: Iterable[Row]) -> None:
        """The rows as they are now, in order. Repaints those that changed, nothing if none did."""
        self.heard = True
        self._all = list(rows)
        for row in self._all:
            old = self._known.get(row.key)
            if old is not row and old != row:
                self._version[row.key] = self._version.get(row.key, 0) + 1
        self._known = {row.key: row for row in self._all}
        self._apply()

    def say_waiting(self) -> None:
        """Nothing is known yet, or any more: say so instead of showing rows."""
        if self.heard or self.rows:
            self.heard = False
            self._all, self._known = [], {}
            self._apply()
            self.refresh()

    def _apply(self) -> None:
        old = [(row.key, row) for row in self.rows]
        fresh = [row for row in self._all if self.match(row.haystack)] if self.match else self._all
        was = self.cursor_index
        self.rows = list(fresh)
        self._index = {row.key: i for i, row in enumerate(self.rows)}
        if self.cursor_key not in self._index:
            self._place(min(was, len(self.rows) - 1))
        said, self._blank_text = self._blank_text, "" if self.rows else self.empty_text()
        if [key for key, _ in old] != list(self._index) or said != self._blank_text:
            self._keep_in_view(quiet=True)
            self.refresh()
        else:
            for i, (row, (_, before)) in enumerate(zip(self.rows, old, strict=True)):
                if row is not before and row != before:
                    self.refresh_body(i)
        self._say_count()

    def _say_count(self) -> None:
        total = len(self._all)
        if self.match:
            self.set_note(f"{len(self.rows)} of {total}  /{self.match.text}")
        else:
            self.set_note(str(total) if total else "")

    def filter(self, match: Match) -> None:
        """Show only the rows that match."""
        if match != self.match:
            self.match = match
            self._apply()

    def light(self, keys: Iterable[str]) -> None:
        """Light the rows that belong to what is selected elsewhere."""
        fresh = frozenset(keys)
        changed, self.lit = self.lit ^ fresh, fresh
        for key in changed:
            if key in self._index:
                self.refresh_body(self._index[key])

    def reveal(self, keys: Iterable[str]) -> None:
        """Scroll so that the first of these rows is in view, when none of them is."""
        places = sorted(self._index[key] for key in keys if key in self._index)
        if places and not any(self.top <= i < self.top + self.view_height for i in places):
            self.scroll_lines_to(places[0])

    # Cursor.

    @property
    def cursor_index(self) -> int:
        return self._index.get(self.cursor_key or "", 0)

    @property
    def cursor_row(self) -> Row | None:
        return self.rows[self.cursor_index] if self.rows else None

    def _place(self, index: int) -> None:
        key = self.rows[max(0, index)].key if self.rows else None
        if key != self.cursor_key:
            self.cursor_key = key
            if key is not None:
                self.post_message(self.Moved(self, key))

    def move_to(self, key: str) -> None:
        """Put the cursor on a row by its key; nothing when it is not there."""
        if key in self._index:
            self._move(self._index[key])

    def _move(self, index: int) -> None:
        if not self.rows:
            return
        before = self.cursor_index
        index = max(0, min(index, len(self.rows) - 1))
        self._place(index)
        if not self._keep_in_view():
            self.refresh_body(before)
            self.refresh_body(index)

    def _keep_in_view(self, *, quiet: bool = False) -> bool:
        index, height = self.cursor_index, self.view_height
        top = min(self.top, self.last_top)
        if index < top:
            top = index
        elif height and index >= top + height:
            top = index - height + 1
        if top == self.top:
            return False
        self.top = top
        if not quiet:
            self.refresh()
        return True

    def on_resize(self) -> None:
        super().on_resize()
        self._keep_in_view(quiet=True)

    def action_move(self, step: int) -> None:
        self._move(self.cursor_index + step)

    def action_page(self, step: int) -> None:
        self._move(self.cursor_index + step * max(1, self.view_height - 1))

    def action_edge(self, side: int) -> None:
        self._move(0 if side < 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        if self.rows and self.cursor_key is not None:
            self.post_message(self.Opened(self, self.cursor_key))

    def action_mark(self) -> None:
        if self.cursor_key is None or not self.rows:
            return
        self.marked ^= {self.cursor_key}
        self.refresh_body(self.cursor_index)
        self.post_message(self.Marked(self, self.marked))
        self._move(self.cursor_index + 1)

    def on_click(self, event: events.Click) -> None:
        index = self.top + event.y - self.head_lines()
        if event.y >= self.head_lines() and 0 <= index < len(self.rows):
            self._move(index)
            if event.chain == 2:
                self.action_open()

    # Drawing.

    def length(self) -> int:
        return len(self.rows)

    def head_lines(self) -> int:
        return 2 if self._header_from and self.size.height >= self._header_from else 1

    def empty_text(self) -> str:
        if not self.heard:
            return self.waiting
        return f"nothing matches {self.match.text}" if self.match else self._empty

    def shown_columns(self, width: int) -> list[tuple[int, int]]:
        """Indices and widths of the columns that fit."""
        return fit(self.columns, width - GUTTER)

    def head_strip(self, y: int, width: int) -> Strip:
        shown = self.shown_columns(width)
        parts = [pad(self.columns[i].title, cells, right=self.columns[i].right) for i, cells in shown]
        text = " " * GUTTER + (" " * GAP).join(parts)
        return self.kept(("head", text, width), lambda: self.line([(text, self.ink[Role.DIM])], width))

    def body_strip(self, index: int, width: int) -> Strip:
        row = self.rows[index]
        ground = self.ground(row)
        key = (
            row.key, self._version.get(row.key, 0), ground, row.key in self.marked, row.key in self.lit,
            width, self.ink, self.extra_key(row),
        )  # fmt: skip
        strip = self._cache.get(key)
        if strip is None:
            self.drawn += 1
            strip = self._cache[key] = self._row_strip(row, ground, width)
        return strip

    def extra_key(self, row: Row) -> object:
        """Whatever else the look of a row depends on."""
        return None

    def ground(self, row: Row) -> str:
        """Which ground the row lies on: see Ink.on."""
        if row.key == self.cursor_key:
            return "cursor" if self.has_focus else "rest"
        return "lit" if row.key in self.lit else ""

    def _gutter(self, row: Row, ground: str) -> tuple[str, Role]:
        if row.key in self.marked:
            return "◆ ", Role.ACCENT
        if ground == "cursor":
            return "▌ ", Role.ACCENT
        if row.key in self.lit:
            return "▎ ", Role.ACCENT
        return "  ", Role.FAINT

    def _row_strip(self, row: Row, ground: str, width: int) -> Strip:
        ink = self.ink
        gutter, role = self._gutter(row, ground)
        runs: list[tuple[str, Style]] = [(gutter, ink.on(role, ground))]
        plain = ink.on(Role.TEXT, ground)
        used = GUTTER
        for n, (i, cells) in enumerate(self.shown_columns(width)):
            if n:
                runs.append((" " * GAP, plain))
                used += GAP
            runs += self._cell_runs(row, i, cells, ground)
            used += cells
        runs.append((" " * max(0, width - used), plain))
        return self.line(runs, width)

    def _cell_runs(self, row: Row, column: int, cells: int, ground: str) -> list[tuple[str, Style]]:
        ink = self.ink
        aged = Style(dim=True) if row.aged else Style()
        left = cells
        runs: list[tuple[str, Style]] = []
        for text, role in row.cells[column].runs:
            if left <= 0:
                break
            cut = clip_start if self.columns[column].tail else clip
            piece = cut(self.safe(text), left)
            runs.append((piece, self.cell_style(ink.on(role, ground), row, column) + aged))
            left -= _cells(piece)
        if left > 0:
            filler = (" " * left, ink.on(Role.TEXT, ground))
            runs = [filler, *runs] if self.columns[column].right else [*runs, filler]
        return runs

    def cell_style(self, style: Style, row: Row, column: int) -> Style:
        """A chance to mark one cell of the cursor row."""
        return style


def _cells(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
