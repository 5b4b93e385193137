"""Health checks as lines in aligned columns, the answer beside them or, where it is narrow, below. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len

from widgets.cells import GAP
from widgets.clean import pad
from widgets.health_rows import ON_DEMAND, HealthRow
from widgets.ink import Role
from widgets.items import Item, Runs, Said
from widgets.wrapping import pieces

_INDENT = 2
_HUNG = 4
"""cells by which an answer stands in, below its check"""
_BESIDE = 38
"""cells that an answer needs to stand beside its check"""
_ASKS_FROM, _ASKS_MOST = 150, 56
"""width from which a column says what is asked, and how wide that gets"""
_NAME = 12
"""cells that a host and a check keep at least"""
_PIECES = 12
"""lines that one answer may take"""


class HealthLayout:
    """Columns as wide as what is in them.

    Args:
        rows: every check there is, also those that a filter hides, so that columns stay where they are.
        width: in cells.
        safe: makes text fit for this terminal.
    """

    def __init__(self, rows: Sequence[HealthRow], width: int, safe: Callable[[str], str]) -> None:
        self._safe = safe
        self._room = max(20, width) - _INDENT
        host = self._widest("host", (r.host for r in rows))
        check = self._widest("check", (r.check for r in rows))
        fixed = {
            "state": max(13, self._widest("state", (f"{r.look.glyph} {r.look.word}" for r in rows))),
            "every": self._widest("every", (r.every for r in rows)),
            "took": max(6, self._widest("took", (r.took for r in rows))),
            "age": max(6, self._widest("age", (r.age for r in rows))),
        }
        level = {"level": 5}
        if host + check + _total([*fixed.values(), 5]) + 2 * GAP > self._room:
            level = {}  # the one under the cursor tells it
        left = self._room - _total([*level.values(), *fixed.values()]) - 2 * GAP
        check = min(check, max(_NAME, left - min(host, max(_NAME, left // 2))))
        host = min(host, max(_NAME, left - check))
        self._widths = {"host": host, "check": check, **level, **fixed}
        if width >= _ASKS_FROM:
            self._widths["asks"] = min(_ASKS_MOST, self._widest("asks", (r.asks for r in rows)))
        beside = self._room - _total(list(self._widths.values())) - GAP
        self._beside = beside if beside >= _BESIDE else 0

    def _widest(self, title: str, texts: Iterable[str]) -> int:
        return max(len(title), *(cell_len(self._safe(t)) for t in texts), 0)

    def head(self) -> Runs:
        """The titles of the columns."""
        titles = [pad(t, w, right=t == "took") for t, w in self._widths.items()]
        titles += ["answer"] if self._beside else []
        return ((" " * _INDENT + (" " * GAP).join(titles), Role.DIM),)

    def item(self, row: HealthRow) -> Item:
        """One check: its columns and its answer."""
        whole = f"{row.look.word}: {row.text}" if row.text else row.look.word
        search = f"{row.host} {row.check} {row.level} {row.every} {row.asks} {whole}"
        copied = "\t".join((row.host, row.check, row.look.word, row.text))
        return Item(row.key, self._lines(row), search, _told(row), copied)

    def _lines(self, row: HealthRow) -> tuple[Runs, ...]:
        asks = self._wrapped(row.asks, self._widths["asks"]) if "asks" in self._widths else [""]
        room = self._beside or self._room - _HUNG
        answer = self._wrapped(row.text, room) if row.text else []
        beside = answer if self._beside else []
        lines = [
            self._line(row, n, asks[n] if n < len(asks) else "", beside[n] if n < len(beside) else "")
            for n in range(max(1, len(asks), len(beside)))
        ]
        below = [] if self._beside else answer
        hung = " " * (_INDENT + _HUNG)
        return (*lines, *(((hung, Role.TEXT), (part, row.role)) for part in below))

    def _line(self, row: HealthRow, number: int, asks: str, answer: str) -> Runs:
        cells = {
            "host": (row.host, Role.STRONG),
            "check": (row.check, Role.TEXT),
            "level": (row.level, Role.DIM),
            "state": (f"{row.look.glyph} {row.look.word}", row.look.role),
            "every": (row.every, Role.DIM),
            "took": (row.took, Role.DIM),
            "age": (row.age, Role.DIM),
        }
        runs: list[tuple[str, Role]] = [(" " * _INDENT, Role.TEXT)]
        for name, width in self._widths.items():
            text, role = (asks, Role.DIM) if name == "asks" else cells[name]
            text = text if number == 0 or name == "asks" else ""
            runs.append((pad(self._safe(text), width, right=name == "took") + " " * GAP, role))
        if not self._beside:
            last, role = runs.pop()
            return (*runs, (last[:-GAP], role))
        return (*runs, (answer, row.role))

    def _wrapped(self, text: str, room: int) -> list[str]:
        safe = self._safe(text)
        if safe.isascii():
            return textwrap.wrap(safe, max(1, room))[:_PIECES] or [""]
        return pieces(safe, room, _PIECES)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _told(row: HealthRow) -> tuple[Said, ...]:
    """The check under the cursor, whole."""
    rate = "never by itself" if row.every == ON_DEMAND else f"every {row.every} by itself"
    facts = [
        Said("check", f"{row.check} on {row.host}, {row.level}, asked {rate}", Role.STRONG),
        Said("asks", row.asks),
    ]
    facts += [Said("means", row.proves)] if row.proves else []
    facts += [Said("costs", row.cost, Role.DEGRADED)] if row.cost else []
    answer = f"{row.look.word}: {row.text}" if row.text else row.look.word
    return (*facts, Said("answer", answer, row.look.role, f"{row.look.glyph} "))
