"""How commands print: aligned columns, words and shapes beside colour, nothing that steers a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from edxconsole.cluster.model import Link, State
from edxconsole.cluster.text import clean_line
from edxconsole.spans import span

SCHEMA = "edxconsole/1"
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@:]*:[^\s/@]+@", re.IGNORECASE)

# The glyphs of the screens (widgets/states.py), so that a shape means the same everywhere.
_SHAPES = {
    State.UP: ("●", "+", "32"),
    State.DEGRADED: ("◐", "%", "33"),
    State.DOWN: ("✗", "X", "31"),
    State.UNKNOWN: ("?", "?", "35"),
    State.ABSENT: ("○", "o", "31"),
}
_LINKS = {
    Link.LIVE: ("●", "+", "32"),
    Link.STALE: ("≈", "~", "33"),
    Link.LOST: ("⊘", "#", "31"),
    Link.BACKOFF: ("⊘", "#", "31"),
    Link.REFUSED: ("✗", "X", "31"),
    Link.CLOSED: ("○", "o", "31"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table. `paint` is an SGR colour, "" for none; `plain` was made by us, not a host."""

    text: str
    paint: str = ""


class Printer:
    """Prints to one stream in the way it can show.

    Colour only on a terminal that wants it (NO_COLOR, TERM=dumb); shapes only where the encoding
    has them.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        terminal = self.stream.isatty()
        self.colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.shapes = "utf" in (self.stream.encoding or "").lower()
        self.width = shutil.get_terminal_size((120, 40)).columns if terminal else None

    def line(self, text: str = "") -> None:
        """One line that is ours, already clean."""
        print(text, file=self.stream)

    def state(self, state: State, word: str | None = None) -> Cell:
        """A state by shape and word."""
        return self._shaped(_SHAPES[state], word or state.value)

    def link(self, link: Link) -> Cell:
        """A host's link by shape and word."""
        return self._shaped(_LINKS.get(link, _SHAPES[State.UNKNOWN]), link.value)

    def _shaped(self, look: tuple[str, str, str], word: str) -> Cell:
        shape, plain, paint = look
        return Cell(f"{shape if self.shapes else plain} {word}", paint)

    def paint(self, cell: Cell) -> str:
        return f"\x1b[{cell.paint}m{cell.text}\x1b[0m" if self.colour and cell.paint else cell.text

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Cell | str]], *, indent: str = "") -> None:
        """Columns as wide as they need, the last one cut at the terminal's edge.

        A header that begins with ">" aligns its column to the right. Text is cleaned here.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        right = [name.startswith(">") for name in header]
        names = [Cell(name.lstrip(">"), "1") for name in header]
        widths = [max(len(row[i].text) for row in [names, *cells]) for i in range(len(names))]
        for row in [names, *cells]:
            self.line(indent + self._row(row, widths, right, len(indent)))

    def _row(self, row: Sequence[Cell], widths: list[int], right: list[bool], used: int) -> str:
        parts = []
        for index, cell in enumerate(row):
            text = cell.text
            if index == len(row) - 1 and not right[index]:
                room = None if self.width is None else max(self.width - used, 8)
                parts.append(self.paint(Cell(clean_line(text, room) if room else text, cell.paint)))
                break
            pad = " " * (widths[index] - len(text))
            painted = self.paint(cell)
            parts.append(pad + painted if right[index] else painted + pad)
            used += widths[index] + 2
        return "  ".join(parts).rstrip()


def _cell(value: Cell | str) -> Cell:
    cell = value if isinstance(value, Cell) else Cell(value)
    return Cell(mask(clean_line(cell.text)), cell.paint)


def mask(text: str) -> str:
    """User and password taken out of URLs; everything else is masked on the host already."""
    return _USERINFO.sub(r"\1***@", text) if "://" in text else text


def print_json(kind: str, body: dict[str, Any]) -> None:
    """One document: {"schema": "edxconsole/1", "kind": ..., ...}. ASCII only, so no escape survives."""
    json.dump({"schema": SCHEMA, "kind": kind, **body}, sys.stdout, indent=2)
    print()


def ago(seconds: float | None) -> str:
    """A duration as an operator says it: 12 s, 4 min, 3 h, 2 d."""
    return "" if seconds is None else span(seconds)


def count(number: int, noun: str, plural: str = "") -> str:
    """1 host, 2 hosts."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
