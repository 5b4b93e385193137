"""What an inspection says in words: the same in the terminal's text and on the screen."""

from __future__ import annotations

import time

from edxconsole.inspect.model import Fact, Table, Value
from edxconsole.spans import span

UNKNOWN = "unknown"
"""a value that its source does not say"""
EMPTY = "empty"
_BYTES = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def label(name: str) -> str:
    """A name for the eye, without the unit that its values then show."""
    if name.startswith("cve_"):
        return name.replace("_", "-").upper()
    for unit in ("_bytes", "_seconds", "_at"):
        name = name.removesuffix(unit)
    return name.replace("_percent", " %").replace("_", " ")


def shown(name: str, value: Value) -> str:
    """A value in the unit that the end of its name tells."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name.endswith("_bytes"):
        return _bytes(value)
    if name.endswith("_percent"):
        return f"{value:g} %"
    if name.endswith("_seconds"):
        return span(float(value))
    if name.endswith("_at"):
        return _moment(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def said(fact: Fact) -> str:
    """The value of a fact, where an empty text is something said, too."""
    return EMPTY if fact.value == "" else shown(fact.name, fact.value)


def is_numeric(table: Table, column: str) -> bool:
    """Whether a column holds numbers, as far as it holds anything: such a one stands to the right."""
    values = [row[column] for row in table.rows if row[column] not in (None, "")]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _bytes(value: float) -> str:
    unit, size = next(((u, s) for u, s in _BYTES if value >= s), ("B", 1))
    return f"{value / size:.1f} {unit}" if size > 1 else f"{value} B"


def _moment(at: float) -> str:
    """A time of the host's clock; as a bare number when no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return f"{at:g}"
