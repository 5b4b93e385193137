"""Any set of log files together, in the order their lines arrive."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.logs.model import LogSource
from screens.log_screen import LoggingScreen
from screens.place import Place
from screens.styles import SHEETS
from widgets.canvas import Canvas
from widgets.commands import Command, bindings
from widgets.log_pane import LogPane
from widgets.match import Match
from widgets.row_table import RowTable
from widgets.source_table import SourceTable, source_key


class MarkNone(Command):
    """Take back all marks: follow everything that is listed."""

    key, title, action = "u", "Unmark all", "unmark"


class LogsScreen(LoggingScreen):
    """Space marks what to follow; with no mark, everything the source filter lists."""

    CSS = SHEETS["logs"]
    SCOPED_CSS = False
    KIND = "logs"
    AUTO_FOCUS = "#log"
    BINDINGS = bindings(MarkNone)

    def panes(self) -> Iterable[Widget]:
        yield Container(SourceTable(id="sources"), LogPane(id="log"), classes="panes")

    def visit(self, place: Place) -> None:
        narrowed = (place.host, place.component) != (self.place.host, self.place.component)
        super().visit(place)
        if self.is_mounted and narrowed and (place.host or place.component):
            self._mark_place()

    def _mark_place(self) -> None:
        """Begin with what one was looking at."""
        wanted = frozenset(
            source_key(s)
            for s in self._known
            if (not self.place.host or s.host == self.place.host)
            and (not self.place.component or s.component == self.place.component)
        )
        table = self.query_one(SourceTable)
        table.marked = wanted
        table.refresh()
        if wanted:
            table.move_to(sorted(wanted)[0])
        self._follow()

    _known: tuple[LogSource, ...] = ()

    def show(self, cluster: ClusterSnapshot) -> None:
        known = tuple(self.sources(cluster.hosts))
        first = not self._known and known
        if known != self._known:
            self._known = known
            self.query_one(SourceTable).show_sources(known)
            if first and (self.place.host or self.place.component):
                self._mark_place()
            self._follow()

    def _follow(self) -> None:
        if self.following is None or not self._known:
            return
        table = self.query_one(SourceTable)
        listed = {row.key for row in table.rows}
        chosen = table.marked or listed
        self.following.want([s for s in self._known if source_key(s) in chosen])

    def filter_pane(self, pane: Canvas, match: Match) -> None:
        super().filter_pane(pane, match)
        if isinstance(pane, SourceTable):
            self._follow()

    def on_row_table_marked(self, event: RowTable.Marked) -> None:
        self._follow()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        """Enter follows only this one."""
        event.table.marked = frozenset({event.key})
        event.table.refresh()
        self._follow()

    def action_unmark(self) -> None:
        table = self.query_one(SourceTable)
        table.marked = frozenset()
        table.refresh()
        self._follow()

    def place_words(self) -> str:
        return "logs"
