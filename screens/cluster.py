"""The first screen: is anything wrong, where, since when."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container, Vertical
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link
from screens.details import component_facts, host_facts
from screens.live import AskHealth, Inspect, LiveScreen
from screens.place import Place, Target, Visit
from screens.styles import SHEETS
from widgets.change_list import ChangeList
from widgets.commands import bindings
from widgets.detail_view import DetailView
from widgets.fleet_table import FleetTable
from widgets.matrix_view import MatrixView
from widgets.problem_list import ProblemList
from widgets.row_table import RowTable
from widgets.words import count

_MOST_ROWS = 16


class ClusterScreen(LiveScreen):
    """Problems first, then hosts, then components × hosts; the selected one explained beside."""

    CSS = SHEETS["cluster"]
    SCOPED_CSS = False
    KIND = "cluster"
    AUTO_FOCUS = "#problems"
    BINDINGS = bindings(Inspect, AskHealth)

    def panes(self) -> Iterable[Widget]:
        clock = self.bridge.clock
        yield Container(
            Vertical(
                ProblemList(clock, id="problems"),
                FleetTable(clock, id="fleet"),
                DetailView("SELECTED", id="detail", empty="select a host or a component"),
                classes="side",
                id="left",
            ),
            Vertical(MatrixView(id="matrix"), ChangeList(id="changes"), classes="side", id="right"),
            classes="panes",
        )

    def show(self, cluster: ClusterSnapshot) -> None:
        problems = self.query_one(ProblemList)
        problems.say_quiet(_quiet(cluster.hosts.values()))
        problems.show_problems(cluster.problems, self.bridge.titles)
        self.fit_height(problems, 1 + max(1, min(len(cluster.problems), self._most(0.22))))
        fleet = self.query_one(FleetTable)
        fleet.show_hosts(cluster.hosts.values())
        self.fit_height(fleet, 2 + max(1, min(len(cluster.hosts), self._most(0.3))))
        matrix = self.query_one(MatrixView)
        matrix.show_matrix(cluster.hosts, self.bridge.titles)
        if self.has_class("-wide"):
            self.fit_height(matrix, 3 + max(1, min(len(matrix.rows), int(self.size.height * 0.6))))
        elif not self.has_class("-zoomed") and matrix.styles.inline.has_rule("height"):
            matrix.styles.height = None  # lays out and repaints all, even when it says what it said
        self.query_one(ChangeList).show_changes(self.bridge.changes, self.bridge.titles)
        self._show_detail()

    def _most(self, share: float) -> int:
        """How many rows a share of the screen holds."""
        return max(2, min(_MOST_ROWS, int(self.size.height * share)))

    # What is selected.

    def selection(self) -> tuple[str, str]:
        pane = self.pane
        if isinstance(pane, MatrixView):
            return pane.host, pane.cursor_key or ""
        if isinstance(pane, FleetTable):
            return pane.cursor_key or "", ""
        if isinstance(pane, ProblemList | ChangeList) and pane.cursor_key:
            host, _, component = pane.cursor_key.rpartition(" ")[2].rstrip("+").partition("/")
            return host, component
        return "", ""

    def _show_detail(self) -> None:
        host_name, component = self.selection()
        host_name = host_name or self.query_one(FleetTable).cursor_key or ""
        detail = self.query_one(DetailView)
        host = self.bridge.cluster.hosts.get(host_name)
        if host is None:
            return
        detail.show(
            component_facts(self.bridge, host, component) if component else host_facts(self.bridge, host)
        )

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        self._show_detail()

    def on_descendant_focus(self) -> None:
        self._show_detail()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        host, component = self.selection()
        if component:
            self.post_message(Visit(Place("component", host, component)))
        elif host:
            self.post_message(Visit(Place("host", host)))

    def on_matrix_view_chosen(self, event: MatrixView.Chosen) -> None:
        self.post_message(Visit(Place("component", event.host, event.component)))

    def target(self) -> Target | None:
        host, component = self.selection()
        if not component:
            return None
        title = self.bridge.titles.get(component, component)
        return Target(f"{component}@{host}", f"{title} on {host}", host, component)


def _quiet(hosts: Iterable[HostSnapshot]) -> str:
    """What an empty problem list may claim: never "nothing wrong" about a host not yet heard."""
    unheard = sum(h.link in _UNHEARD for h in hosts)
    return f"nothing wrong seen so far; {count(unheard, 'host')} not heard yet" if unheard else ""


_UNHEARD = frozenset({Link.WAITING, Link.CONNECTING, Link.AUTHENTICATING, Link.PROBING})
