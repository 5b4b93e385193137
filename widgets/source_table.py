"""SourceTable: the log files there are, to choose from."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.logs.model import LogSource
from widgets.cells import Column, Row, cell
from widgets.ink import Role
from widgets.row_table import RowTable

COLUMNS = (
    Column("host", 6, 0, grow=1, most=14),
    Column("log", 10, 0, grow=2, most=28),
    Column("file", 10, 2, grow=2, tail=True),
)


def source_key(source: LogSource) -> str:
    """ "app1:/edx/var/log/..." """
    return f"{source.host}:{source.path}"


class SourceTable(RowTable):
    """Keys as source_key gives them. Marked ones are followed; without marks, all that are listed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("SOURCES", COLUMNS, id=id, empty="no log file is known yet")

    def show_sources(self, sources: Iterable[LogSource]) -> None:
        self.show(
            Row(
                source_key(s),
                (cell(s.host, Role.ACCENT), cell(s.name or s.component), cell(s.path, Role.DIM)),
                search=f"{s.host} {s.component} {s.name} {s.path}",
            )
            for s in sources
        )
