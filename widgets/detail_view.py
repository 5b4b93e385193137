"""DetailView: sentences and facts about whatever is selected, wrapped to the pane."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from rich.style import Style
from textual.strip import Strip

from widgets.canvas import Canvas
from widgets.clean import pad
from widgets.commands import bindings
from widgets.ink import Role
from widgets.row_table import CursorDown, CursorUp, First, Last, PageDown, PageUp

Runs = tuple[tuple[str, Role], ...]
_LABEL, _LABEL_MOST = 11, 24
"""cells of the labels: as many as the longest needs, between these"""


@dataclass(frozen=True, slots=True)
class Fact:
    """A labelled paragraph; a fact without label goes on below the one before; "" is a blank line."""

    label: str
    text: str
    role: Role = Role.TEXT
    mark: str = ""
    """a glyph before the text, in the same ink"""


class DetailView(Canvas):
    """Facts in two columns: label, text."""

    BINDINGS = bindings(CursorDown, CursorUp, PageDown, PageUp, First, Last)

    def __init__(self, title: str, *, id: str | None = None, empty: str = "") -> None:
        super().__init__(title, id=id)
        self._facts: tuple[Fact, ...] = ()
        self._lines: list[Runs] = []
        self._wrapped = 0
        self._empty = empty
        self._label = _LABEL

    def show(self, facts: Iterable[Fact]) -> None:
        """The facts as they are now; repaints when they differ."""
        fresh = tuple(facts)
        if fresh != self._facts:
            self._facts = fresh
            self._wrapped = 0
            self._label = min(_LABEL_MOST, max(_LABEL, *(len(f.label) for f in fresh), 0))
            self.top = min(self.top, self.last_top)
            self.refresh()

    def show_whole(self, facts: Iterable[Fact], most: int) -> None:
        """As show, and as high as the facts need, up to `most` lines; for modals."""
        self.show(facts)
        lines = min(most, 1 + max(1, self.length()))
        height = self.styles.height
        if height is None or height.cells != lines:
            self.styles.height = lines

    def _wrap(self) -> list[Runs]:
        width = max(20, self.size.width - 1)
        if self._wrapped != width:
            self._wrapped = width
            self._lines = [line for fact in self._facts for line in self._fact_lines(fact, width)]
        return self._lines

    def _fact_lines(self, fact: Fact, width: int) -> list[Runs]:
        if not fact.label and not fact.text:
            return [()]
        room = max(10, width - self._label - 3 - len(fact.mark))
        texts = textwrap.wrap(self.safe(fact.text), room) or [""]
        lines: list[Runs] = []
        for n, text in enumerate(texts):
            label = f"  {pad(self.safe(fact.label) if n == 0 else '', self._label)} "
            mark = fact.mark if n == 0 else " " * len(fact.mark)
            lines.append(((label, Role.DIM), (mark, fact.role), (text, fact.role)))
        return lines

    def length(self) -> int:
        return len(self._wrap())

    def empty_text(self) -> str:
        return self._empty

    def body_strip(self, index: int, width: int) -> Strip:
        ink, line = self.ink, self._lines[index]
        runs: list[tuple[str, Style]] = [(text, ink[role]) for text, role in line]
        return self.kept((line, width), lambda: self.line(runs, width))

    def on_resize(self) -> None:
        self._wrapped = 0
        super().on_resize()

    def action_move(self, step: int) -> None:
        self.scroll_lines_to(self.top + step)

    def action_page(self, step: int) -> None:
        self.scroll_lines_to(self.top + step * max(1, self.view_height - 1))

    def action_edge(self, side: int) -> None:
        self.scroll_lines_to(0 if side < 0 else self.last_top)
