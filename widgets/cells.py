"""Rows as data: columns, cells and what fits. Pure; drawing is canvas.py and row_table.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from widgets.ink import Role

GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `priority` 0 stays longest; `grow` shares what is left over, up to `most` cells.

    Of a `tail` column, which holds paths, the end is kept when it must be cut.
    """

    title: str
    width: int
    priority: int = 0
    right: bool = False
    grow: int = 0
    most: int = 400
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of one cell in runs of one ink each. Text is cleaned when it is drawn."""

    runs: tuple[tuple[str, Role], ...]

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs)


def cell(text: str, role: Role = Role.TEXT) -> Cell:
    """A cell of a single ink."""
    return Cell(((text, role),))


@dataclass(frozen=True, slots=True)
class Row:
    """One row, equal to its successor when nothing to be seen of it changed.

    `aged` rows are drawn dim whatever their inks; `search` is what the filter looks at.
    """

    key: str
    cells: tuple[Cell, ...]
    aged: bool = False
    search: str = ""

    @property
    def haystack(self) -> str:
        return self.search or " ".join(c.text for c in self.cells)


def fit(columns: Sequence[Column], width: int) -> list[tuple[int, int]]:
    """Which columns are shown in `width` cells, and how wide: pairs of (index, cells).

    Columns of the highest priority number go first; then growing columns share the rest.
    """
    chosen = list(range(len(columns)))
    while len(chosen) > 1 and _needed(columns, chosen) > width:
        worst = max(chosen, key=lambda i: (columns[i].priority, i))
        if columns[worst].priority == 0:
            break
        chosen.remove(worst)
    widths = {i: columns[i].width for i in chosen}
    spare = width - _needed(columns, chosen)
    growing = [i for i in chosen if columns[i].grow]
    while spare > 0 and growing:
        share = sum(columns[i].grow for i in growing)
        given = 0
        for i in growing:
            more = min(max(1, spare * columns[i].grow // share), columns[i].most - widths[i], spare - given)
            widths[i] += more
            given += more
        spare -= given
        growing = [i for i in growing if widths[i] < columns[i].most]
        if not given:
            break
    return [(i, widths[i]) for i in chosen]


def _needed(columns: Sequence[Column], chosen: Sequence[int]) -> int:
    return sum(columns[i].width for i in chosen) + GAP * (len(chosen) - 1)


def bar(fraction: float, width: int, role: Role) -> tuple[tuple[str, Role], ...]:
    """A quiet bar: heavy line for what is used, faint line for what is free."""
    full = round(min(1.0, max(0.0, fraction)) * width)
    if fraction > 0 and full == 0:
        full = 1
    return (("━" * full, role), ("─" * (width - full), Role.FAINT))


def grade(fraction: float, warn: float, alarm: float, calm: Role = Role.DIM) -> Role:
    """The ink of a filling level: calm, degraded from `warn`, down from `alarm`."""
    if fraction >= alarm:
        return Role.DOWN
    return Role.DEGRADED if fraction >= warn else calm
