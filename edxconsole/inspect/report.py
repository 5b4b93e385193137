"""Builds an Inspection: cleans, masks and bounds what goes in, and turns errors into what is missing."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

from edxconsole.cluster.model import State
from edxconsole.cluster.text import clean_line, clean_text
from edxconsole.errors import ConnectionLost, EdxconsoleError, ServiceError, TransportError
from edxconsole.inspect.masking import mask_text
from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table, Value

MAX_ROWS = 500
MAX_TEXT = 300

T = TypeVar("T")


class Part:
    """One section being filled."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._facts: list[Fact] = []
        self._tables: list[Table] = []

    def facts(self, source: str, **values: Value) -> None:
        """Facts that one source told."""
        self._facts += [Fact(name, clean(value), clean_line(source)) for name, value in values.items()]

    def table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Mapping[str, Value]],
        *,
        source: str,
        most: int = MAX_ROWS,
    ) -> None:
        """A table; the first `most` rows are kept. A column that a row lacks is None."""
        all_rows = list(rows)
        kept = tuple({c: clean(row.get(c)) for c in columns} for row in all_rows[:most])
        left_out = len(all_rows) - len(kept)
        self._tables.append(Table(name, tuple(columns), kept, clean_line(source), left_out))

    def done(self) -> Section:
        return Section(self.name, tuple(self._facts), tuple(self._tables))


class Report:
    """Everything one inspector finds."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._findings: list[Finding] = []
        self._missing: list[Missing] = []

    def part(self, name: str) -> Part:
        """A new section, shown after those before it; left out when nothing gets into it."""
        part = Part(name)
        self._parts.append(part)
        return part

    def degraded(self, text: str) -> None:
        self._findings.append(Finding(State.DEGRADED, _line(text)))

    def down(self, text: str) -> None:
        self._findings.append(Finding(State.DOWN, _line(text)))

    def missing(self, what: str, cause: str, remedy: str | None = None) -> None:
        """What can't be seen. Said once."""
        told = Missing(what, _line(cause), _line(remedy or ""))
        if told not in self._missing:
            self._missing.append(told)

    @property
    def untold(self) -> tuple[Missing, ...]:
        """What was told as missing so far."""
        return tuple(self._missing)

    def lacks(self, what: str, error: EdxconsoleError) -> None:
        """What can't be seen because of an error."""
        self.missing(what, error.cause, error.remedy)

    async def attempt(self, what: str, work: Awaitable[T]) -> T | None:
        """What `work` finds; None when it can't, which is then told as missing.

        Raises ConnectionLost: with the host gone nothing else can be seen either.
        """
        try:
            return await work
        except ConnectionLost:
            raise
        except (TransportError, ServiceError) as error:
            self.lacks(what, error)
            return None

    def done(self, host: str, component: str) -> Inspection:
        sections = tuple(p.done() for p in self._parts)
        return Inspection(
            host=host,
            component=component,
            at=time.time(),
            sections=tuple(s for s in sections if s.facts or s.tables),
            findings=tuple(dict.fromkeys(self._findings)),
            missing=tuple(self._missing),
        )


def clean(value: Value) -> Value:
    """A value fit to be shown: text on one line, masked and bounded; numbers that JSON can hold."""
    if isinstance(value, str):
        return _line(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _line(text: str) -> str:
    # Masked when nothing unprintable is left between its letters, before it is cut to its length.
    return clean_line(mask_text(clean_text(text[: MAX_TEXT * 20])), MAX_TEXT)
