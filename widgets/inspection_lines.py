"""An inspection as lines of a pane: findings, sections, tables, what is missing. Pure; drawing is apart."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.cells import cell_len

from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table, Value
from edxconsole.inspect.wording import is_numeric, label, said, shown
from widgets.cells import GAP
from widgets.clean import pad
from widgets.ink import Role
from widgets.items import Block, Item, Runs, Said
from widgets.states import STATE
from widgets.wrapping import pieces

_INDENT = 2
_LEAST, _LEAST_NAME = 8, 32
"""cells a column of words keeps if it needs them, and the first, which names the row; numbers are not cut"""
_LABEL_MOST, _VALUE_MOST = 28, 100
_SOURCE_FROM = 100
"""width from which each fact's source stands beside it; narrower, it is told of the one under the cursor"""
_PIECES = 40
"""lines that one value may take"""


def blocks(found: Inspection, width: int, safe: Callable[[str], str]) -> list[Block]:
    """Everything there is to show, `width` cells wide. `safe` makes text fit for this terminal."""
    return list(_Layout(found, width, safe).blocks())


class _Layout:
    def __init__(self, found: Inspection, width: int, safe: Callable[[str], str]) -> None:
        self._found = found
        self._width = max(20, width)
        self._safe = safe
        names = [self._safe(label(f.name)) for s in found.sections for f in s.facts]
        self._label = min(_LABEL_MOST, max(map(cell_len, names), default=0))
        sources = [cell_len(self._safe(f.source)) for s in found.sections for f in s.facts]
        self._source = min(self._width // 3, max(sources, default=0)) if self._width >= _SOURCE_FROM else 0
        values = [cell_len(self._safe(said(f))) for s in found.sections for f in s.facts]
        room = self._width - _INDENT - self._label - GAP - (self._source + GAP if self._source else 0)
        self._value = min(room, _VALUE_MOST, max(values, default=0)) if self._source else room

    def blocks(self) -> Iterator[Block]:
        yield self._findings()
        for section in self._found.sections:
            yield from self._section(section)
        if self._found.missing:
            head = ((), self._title("not seen", str(len(self._found.missing))))
            items = tuple(self._missing(n, m) for n, m in enumerate(self._found.missing))
            yield Block(head, items)

    def _title(self, name: str, note: str = "") -> Runs:
        return ((" " * _INDENT + self._safe(name).upper(), Role.STRONG), (f"  {self._safe(note)}", Role.DIM))

    # Findings and what is missing.

    def _findings(self) -> Block:
        found = self._found.findings
        unseen = " in what could be seen" if self._found.missing else ""
        note = str(len(found)) if found else f"nothing found{unseen}"
        items = tuple(self._finding(n, f) for n, f in enumerate(found))
        return Block((self._title("look at", note),), items, bare=True)

    def _finding(self, number: int, finding: Finding) -> Item:
        look = STATE[finding.state]
        head = f"{look.glyph} {look.word:<9}"
        lines = self._hung(((head, look.role),), finding.text, look.role)
        told = (Said("finding", f"{look.word}: {finding.text}", look.role),)
        return Item(
            f"finding:{number}:{finding.text}", lines, f"{look.word} {finding.text}", told, finding.text
        )

    def _missing(self, number: int, missing: Missing) -> Item:
        lines = self._hung((("? ", Role.UNKNOWN),), f"{missing.what}: {missing.cause}", Role.UNKNOWN)
        if missing.remedy:
            lines += self._hung((("  remedy: ", Role.ACCENT),), missing.remedy, Role.TEXT)
        told = (
            Said("not seen", missing.what, Role.UNKNOWN),
            Said("because", missing.cause),
            *((Said("remedy", missing.remedy, Role.ACCENT),) if missing.remedy else ()),
        )
        whole = "; ".join(t for t in (f"{missing.what}: {missing.cause}", missing.remedy) if t)
        return Item(f"missing:{number}:{missing.what}", lines, whole, told, whole)

    def _hung(self, head: Runs, text: str, role: Role) -> tuple[Runs, ...]:
        """A paragraph, its lines hung below its first word."""
        used = _INDENT + sum(cell_len(t) for t, _ in head)
        parts = self._wrapped(text, self._width - used)
        first: Runs = ((" " * _INDENT, Role.TEXT), *head, (parts[0], role))
        return (first, *(((" " * used, Role.TEXT), (part, role)) for part in parts[1:]))

    def _wrapped(self, text: str, room: int) -> list[str]:
        safe = self._safe(text)
        if safe.isascii():
            return textwrap.wrap(safe, max(1, room))[:_PIECES] or [""]
        return pieces(safe, room, _PIECES)

    # Facts and tables.

    def _section(self, section: Section) -> Iterator[Block]:
        alone = len(section.tables) == 1 and not section.facts
        facts = tuple(self._fact(section, fact) for fact in section.facts)
        if not alone:
            yield Block(((), self._title(label(section.name))), facts, bare=True)
        for table in section.tables:
            yield self._table(section, table, alone=alone)

    def _fact(self, section: Section, fact: Fact) -> Item:
        name, value = self._safe(label(fact.name)), said(fact)
        role = Role.UNKNOWN if fact.value is None else Role.DIM if fact.value == "" else Role.TEXT
        lines: list[Runs] = []
        for n, part in enumerate(self._wrapped(value, self._value)):
            source = pad(self._safe(fact.source), self._source) if self._source and n == 0 else ""
            runs = (
                (" " * _INDENT + pad(name if n == 0 else "", self._label + GAP), Role.DIM),
                (pad(part, self._value + GAP) if source else part, role),
                (source, Role.DIM),
            )
            lines.append(runs)
        told = (
            Said(label(section.name), f"{name}: {value}", Role.STRONG),
            Said("read by", fact.source),
        )
        search = f"{section.name} {name} {value} {fact.source}"
        return Item(f"fact:{section.name}/{fact.name}", tuple(lines), search, told, value)

    def _table(self, section: Section, table: Table, *, alone: bool) -> Block:
        count = f"{len(table.rows)}" + (f" of {len(table.rows) + table.left_out}" if table.left_out else "")
        note = f"{count}  by {table.source}" if table.rows else f"none  by {table.source}"
        name = label(section.name if alone else table.name)
        if alone:
            head: tuple[Runs, ...] = ((), self._title(name, note))
        else:
            head = (((" " * _INDENT + self._safe(name), Role.TEXT), (f"  {self._safe(note)}", Role.DIM)),)
        if not table.rows:
            return Block(head, bare=True)
        grid = _Grid(table, self._width - _INDENT, self._safe)
        more = f"  {table.left_out} more are left out" if table.left_out else ""
        hidden = len(table.columns) - len(grid.columns)
        more += f"  {hidden} more columns don't fit; the row under the cursor is told whole" if hidden else ""
        foot: tuple[Runs, ...] = (((more, Role.DIM),),) if more else ()
        items = tuple(self._row(section, table, grid, n) for n in range(len(table.rows)))
        return Block((*head, grid.head()), items, foot)

    def _row(self, section: Section, table: Table, grid: _Grid, number: int) -> Item:
        row = table.rows[number]
        values = {c: shown(c, row[c]) for c in table.columns}
        name = label(table.name)
        told = (
            *(Said(label(c), values[c], Role.UNKNOWN if row[c] is None else Role.TEXT) for c in values),
            Said("read by", table.source, Role.DIM),
        )
        search = f"{section.name} {name} {' '.join(values.values())}"
        key = f"row:{section.name}/{table.name}/{grid.name(number)}"
        return Item(key, (grid.line(number),), search, told, "\t".join(values.values()))


class _Grid:
    """A table's columns, as wide as what is in them, made to fit: cut, then left out from the right."""

    def __init__(self, table: Table, room: int, safe: Callable[[str], str]) -> None:
        self._cells = [[safe(shown(c, row[c])) for c in table.columns] for row in table.rows]
        self._none = [[row[c] is None for c in table.columns] for row in table.rows]
        self._titles = [safe(label(c)) for c in table.columns]
        self._right = [is_numeric(table, c) for c in table.columns]
        self._names = _names(table.rows, table.columns)
        columns = zip(*self._cells, strict=True)
        wanted = [
            max(cell_len(title), *(cell_len(text) for text in column))
            for title, column in zip(self._titles, columns, strict=True)
        ]
        least = [
            w if right else min(w, max(_LEAST, cell_len(t)))
            for w, t, right in zip(wanted, self._titles, self._right, strict=True)
        ]
        least[0] = min(wanted[0], max(least[0], min(_LEAST_NAME, room // 3)))
        self._widths = fitted(wanted, least, room)
        self.columns = table.columns[: len(self._widths)]

    def name(self, number: int) -> str:
        return self._names[number]

    def head(self) -> Runs:
        texts = [pad(t, w, right=r) for t, w, r in zip(self._titles, self._widths, self._right, strict=False)]
        return ((" " * _INDENT + (" " * GAP).join(texts), Role.DIM),)

    def line(self, number: int) -> Runs:
        runs: list[tuple[str, Role]] = [(" " * _INDENT, Role.TEXT)]
        for n, width in enumerate(self._widths):
            role = Role.DIM if self._none[number][n] else Role.TEXT
            runs.append((pad(self._cells[number][n], width, right=self._right[n]), role))
            runs.append((" " * GAP, Role.TEXT))
        return tuple(runs[:-1])


def fitted(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths of the columns that fit: the widest give way first, as far as they can; then the last go."""
    widths = list(wanted)
    while len(widths) > 1 and sum(least[: len(widths)]) + GAP * (len(widths) - 1) > room:
        widths.pop()
    over = sum(widths) + GAP * (len(widths) - 1) - room
    while over > 0:
        slack = [w - low for w, low in zip(widths, least, strict=False)]
        if max(slack) <= 0:
            break
        widest = max((w for w, s in zip(widths, slack, strict=True) if s > 0))
        n = next(i for i, w in enumerate(widths) if w == widest and slack[i] > 0)
        widths[n] -= 1
        over -= 1
    return widths if len(widths) > 1 else [max(1, min(widths[0], room))]


def _names(rows: Sequence[Mapping[str, Value]], columns: Sequence[str]) -> list[str]:
    """What tells a row from the others: its first value, and its number among those that share it."""
    seen: dict[str, int] = {}
    names = []
    for row in rows:
        first = str(row[columns[0]])
        seen[first] = seen.get(first, 0) + 1
        names.append(f"{first}#{seen[first]}")
    return names
