"""ItemView: lines that belong to things, with a cursor on each thing, a filter, and a sentence above."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from widgets.canvas import Canvas
from widgets.clean import clean, clip
from widgets.commands import Command, bindings
from widgets.ink import Role
from widgets.items import Block, Item, Runs, chosen
from widgets.match import Match
from widgets.row_table import CursorDown, CursorUp, First, Last, PageDown, PageUp
from widgets.wrapping import pieces


class CopyItem(Command):
    """Copy what the cursor is on to the clipboard of this terminal: a value, a row, a sentence."""

    key, title, action = "y", "Copy", "copy"


class ItemView(Canvas):
    """A subclass says in `blocks` what there is, and calls `renew` when that changed."""

    BINDINGS = bindings(CursorDown, CursorUp, PageDown, PageUp, First, Last, CopyItem)

    @dataclass
    class Moved(Message):
        """The cursor is on something else; None when there is nothing."""

        item: Item | None

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(title, id=id)
        self.match = Match("")
        self.cursor_key = ""
        self.items: list[Item] = []
        """those that pass the filter, in order"""
        self._said: tuple[str, Role] = ("", Role.DIM)
        self._blocks: list[Block] = []
        self._laid = (0, False)
        """width and alphabet that the blocks were laid out for"""
        self._lines: list[tuple[Runs, Item | None]] = []
        self._starts: dict[str, int] = {}

    # What a subclass gives.

    def blocks(self, width: int) -> list[Block]:
        """Everything there is to show, `width` cells wide."""
        raise NotImplementedError

    # Data.

    def say(self, text: str, role: Role) -> bool:
        """The sentence above everything; "" for none. Whether it differs from the one before."""
        changed = (text, role) != self._said
        self._said = (text, role)
        return changed

    def renew(self) -> None:
        """There is something else to show: repaints the lines that differ."""
        before, at = self._lines, (self.top, self._starts.get(self.cursor_key))
        self._laid = (0, False)
        self._lay_out()
        now = (self.top, self._starts.get(self.cursor_key))
        if at != now or not before or len(before) != len(self._lines):
            self.refresh()
            return
        for index, ((old, _), (new, _)) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh_body(index)

    def filter(self, match: Match) -> None:
        """Show only what matches."""
        if match != self.match:
            self.match = match
            self._choose()
            self.refresh()

    def move_to(self, key: str) -> None:
        """Put the cursor on an item by its key; nothing when it is not there."""
        found = next((n for n, item in enumerate(self.items) if item.key == key), None)
        if found is not None:
            self._move(found)

    def on_resize(self) -> None:
        self._lay_out()
        super().on_resize()

    def _lay_out(self) -> None:
        wanted = (self.size.width, self.ascii_only)
        if self.size.width and wanted != self._laid:
            self._laid = wanted
            self._blocks = self.blocks(self.size.width - 1)
            self._choose()

    def _choose(self) -> None:
        """The lines that are shown now, with the cursor where it was as far as that is still there."""
        before = self._index
        said = [(line, None) for line in self._sentence()]
        self._lines = [*said, *chosen(self._blocks, self.match)]
        self.items, self._starts = [], {}
        for at, (_, item) in enumerate(self._lines):
            if item is not None and item.key not in self._starts:
                self._starts[item.key] = at
                self.items.append(item)
        if self.cursor_key not in self._starts:
            self._place(before)
        elif self.item is not None:
            self.post_message(self.Moved(self.item))
        self._keep_in_view()

    def _sentence(self) -> list[Runs]:
        text, role = self._said
        if not text:
            return []
        room = max(20, self.size.width - 5)
        return [*(((f"  {part}", role),) for part in pieces(self.safe(text), room, 6)), ()]

    # Cursor.

    @property
    def _index(self) -> int:
        return next((n for n, item in enumerate(self.items) if item.key == self.cursor_key), 0)

    @property
    def item(self) -> Item | None:
        """What the cursor is on."""
        return self.items[self._index] if self.items else None

    def _place(self, index: int) -> None:
        item = self.items[max(0, min(index, len(self.items) - 1))] if self.items else None
        self.cursor_key = item.key if item is not None else ""
        self.post_message(self.Moved(item))

    def _move(self, index: int) -> None:
        if self.items:
            self._place(index)
            self._keep_in_view()
            self.refresh()

    def _keep_in_view(self) -> None:
        """The whole thing in view, with the heading above it when it is the first below one."""
        item, height = self.item, self.view_height
        if item is None or not height:
            self.top = min(self.top, self.last_top)
            return
        first = self._starts[item.key]
        last = first + len(item.lines) - 1
        while first > 0 and self._lines[first - 1][1] is None:
            first -= 1
        if last >= self.top + height:
            self.top = last - height + 1
        if self._starts[item.key] - self.top < 0 or (first < self.top and last - first < height):
            self.top = first
        self.top = max(0, min(self.top, self.last_top))

    def action_move(self, step: int) -> None:
        last = self._index == len(self.items) - 1
        if not self.items or (step > 0 and last):
            self.scroll_lines_to(self.top + step)
        else:
            self._move(self._index + step)

    def action_page(self, step: int) -> None:
        """By what is in view, onto the first thing there."""
        if not self.items:
            self.scroll_lines_to(self.top + step * max(1, self.view_height - 1))
            return
        wanted = self._starts[self.items[self._index].key] + step * max(1, self.view_height - 1)
        near = min(self.items, key=lambda i: abs(self._starts[i.key] - wanted))
        self._move(self.items.index(near))

    def action_edge(self, side: int) -> None:
        self._move(0 if side < 0 else len(self.items) - 1)
        self.scroll_lines_to(0 if side < 0 else self.last_top)

    def action_copy(self) -> None:
        item = self.item
        if item is None:
            self.notify("There is nothing to copy.", markup=False)
            return
        text = "\t".join(clean(part) for part in item.copied.split("\t"))
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied: {clip(clean(text), 60)}", timeout=2, markup=False)

    def on_click(self, event: events.Click) -> None:
        at = self.top + event.y - self.head_lines()
        if event.y >= self.head_lines() and 0 <= at < len(self._lines):
            item = self._lines[at][1]
            if item is not None:
                self._move(self.items.index(item))

    # Drawing.

    def length(self) -> int:
        return len(self._lines)

    def empty_text(self) -> str:
        return f"nothing matches {self.match.text}" if self.match and self._blocks else ""

    def body_strip(self, index: int, width: int) -> Strip:
        runs, item = self._lines[index]
        ground = ""
        if item is not None and item.key == self.cursor_key:
            ground = "cursor" if self.has_focus else "rest"
        return self.kept(("body", runs, ground, width), lambda: self._strip(runs, ground, width))

    def _strip(self, runs: Runs, ground: str, width: int) -> Strip:
        ink = self.ink
        gutter = ("▌ ", ink.on(Role.ACCENT, ground)) if ground == "cursor" else None
        styled: list[tuple[str, Style]] = [(text, ink.on(role, ground)) for text, role in runs]
        if gutter is not None and styled:
            text, style = styled[0]
            styled = [gutter, (text.removeprefix("  "), style), *styled[1:]]
        styled.append((" " * width, ink.on(Role.TEXT, ground)))
        return self.line(styled, width)
