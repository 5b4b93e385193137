"""ProblemList: what is wrong, where, since when; worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edxconsole.cluster.model import Problem
from widgets.cells import Cell, Column, Row, cell
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import STATE
from widgets.words import short_since, span, told

COLUMNS = (
    Column("  state", 10, 0),
    Column("where", 10, 0, grow=1, most=20),
    Column("what", 12, 1, grow=1, most=22),
    Column("because", 32, 0, grow=8),
    Column("since", 6, 1, right=True),
    Column("for", 6, 2, right=True),
)


class ProblemList(RowTable):
    """Keys are "host/component"; the component is empty for a host itself."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("PROBLEMS", COLUMNS, id=id, empty="nothing wrong", header_from=0)
        self._clock = clock
        self._seen: tuple[Sequence[Problem], int] = ((), 0)
        self._quiet = ""

    def say_quiet(self, word: str) -> None:
        """What an empty list says instead of "nothing wrong", while not every host was heard; "" ends it."""
        if word != self._quiet:
            self._quiet = word
            self._apply()

    def show_problems(self, problems: Sequence[Problem], titles: Mapping[str, str]) -> None:
        """As the cluster model ranks them."""
        now = self._clock.now()
        seen_now = (problems, int(now) // 10)
        if self.heard and seen_now[0] is self._seen[0] and seen_now[1] == self._seen[1]:
            return
        self._seen = seen_now
        rows: dict[str, Row] = {}
        for problem in problems:
            key = f"{problem.host}/{problem.component}"
            while key in rows:
                key += "+"
            rows[key] = _row(key, problem, titles.get(problem.component, problem.component), now)
        self.show(rows.values())

    def empty_text(self) -> str:
        return super().empty_text() if self.match or not self._quiet else self._quiet


def _row(key: str, problem: Problem, title: str, now: float) -> Row:
    look = STATE[problem.state]
    began = problem.since
    return Row(
        key,
        (
            Cell(((f"{look.glyph} ", look.role), (look.word, look.role))),
            cell(problem.host, Role.STRONG),
            cell(title or "host", Role.TEXT if title else Role.DIM),
            cell(told(problem.text)),
            cell(short_since(began, now) if began is not None else "—", Role.TEXT),
            cell(_length(now - began) if began is not None else "", Role.DIM),
        ),
    )


def _length(seconds: float) -> str:
    """Below a minute it only says so: a second's hand would repaint the list each second."""
    return "<1 min" if seconds < 60 else span(seconds)
