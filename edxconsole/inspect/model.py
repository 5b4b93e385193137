"""What an inspector finds: sections of named facts and tables, each with its source.

Names are stable, for scripts; their end tells the unit: `_bytes`, `_percent`, `_seconds`, `_at` (epoch s
on the host's clock). Text from a host is cleaned and masked before it gets in here (report.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edxconsole.cluster.model import State

Value = str | int | float | bool | None
NONE = "none"
"""the value of a fact whose source says that there is none; in a table that is an empty text"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One named value. None: the source does not say."""

    name: str
    value: Value
    source: str
    """the command, file or call that said it"""


@dataclass(frozen=True, slots=True)
class Table:
    """Things of one kind, a row each; every row has every column."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Value], ...]
    source: str
    left_out: int = 0
    """rows that were too many to keep"""


@dataclass(frozen=True, slots=True)
class Section:
    """One aspect of a component."""

    name: str
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()

    def fact(self, name: str) -> Value:
        """The value of a fact. Raises KeyError."""
        found = [f.value for f in self.facts if f.name == name]
        if not found:
            raise KeyError(name)
        return found[0]

    def table(self, name: str) -> Table:
        """Raises KeyError."""
        found = [t for t in self.tables if t.name == name]
        if not found:
            raise KeyError(name)
        return found[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something an operator should look at."""

    state: State
    """degraded or down"""
    text: str


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be seen, why, and what would let it be seen."""

    what: str
    cause: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One component on one host, at one moment."""

    host: str
    component: str
    at: float
    """when it was read, console clock"""
    sections: tuple[Section, ...] = ()
    findings: tuple[Finding, ...] = ()
    missing: tuple[Missing, ...] = ()

    def section(self, name: str) -> Section:
        """Raises KeyError."""
        found = [s for s in self.sections if s.name == name]
        if not found:
            raise KeyError(name)
        return found[0]
