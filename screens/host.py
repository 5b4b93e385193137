"""One host: services, supervisor, ports and log, four live panes that the cursor links."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot
from edxconsole.logs.model import LogSource
from screens import linking
from screens.linking import Links
from screens.live import AskHealth, Inspect
from screens.log_screen import LoggingScreen
from screens.place import Place, Target, Visit
from screens.styles import SHEETS
from screens.targets import component_target, unit_target
from widgets.commands import bindings
from widgets.log_pane import LogPane
from widgets.port_table import PortTable
from widgets.program_table import ProgramTable
from widgets.row_table import RowTable
from widgets.service_table import ServiceTable
from widgets.states import link_look
from widgets.words import count


class HostScreen(LoggingScreen):
    """Selecting a service lights its programs and ports and follows its logs."""

    CSS = SHEETS["host"]
    SCOPED_CSS = False
    KIND = "host"
    AUTO_FOCUS = "#services"
    BINDINGS = bindings(Inspect, AskHealth)

    def panes(self) -> Iterable[Widget]:
        clock = self.bridge.clock
        yield Container(
            ServiceTable(clock, id="services"),
            ProgramTable(clock, id="programs"),
            PortTable(id="ports"),
            LogPane(id="log"),
            classes="panes",
        )

    @property
    def host(self) -> HostSnapshot | None:
        return self.bridge.cluster.hosts.get(self.place.host)

    def visit(self, place: Place) -> None:
        if place.host != self.place.host:
            for table in self.query(RowTable):
                table.cursor_key = None
            if self.following is not None:
                self.following.want(())
            if self.is_mounted and isinstance(self.focused, RowTable):
                self.query_one(ServiceTable).focus()
        super().visit(place)
        if place.component and self.is_mounted:
            self.query_one(ServiceTable).move_to(f"c:{place.component}")

    def show(self, cluster: ClusterSnapshot) -> None:
        host = self.host
        if host is None:
            return
        waiting = f"{host.name}: {link_look(host, self.bridge.clock).word}"
        waiting += f", {host.reason}" if host.reason else ""
        for table in self.query(RowTable):
            table.waiting = waiting
        if host.vitals is None and not host.instances and not host.trusted:
            for table in self.query(RowTable):
                table.say_waiting()
            return
        self.query_one(ServiceTable).show_host(host, self.bridge.titles)
        self.query_one(ProgramTable).show_host(host)
        self.query_one(PortTable).show_host(host, self.bridge.titles)
        self._share_height(max(len(table.rows) for table in self.query(RowTable)))
        self._link(follow=self.following is not None and self.following.wanted is None)

    def _share_height(self, rows: int) -> None:
        """On a wide screen tables take what they need, up to half; the log has the rest."""
        panes = self.query_one(".panes")
        if not self.has_class("-wide"):
            panes.styles.clear_rule("grid_rows")
            return
        wanted = f"{min(max(8, rows + 3), self.size.height // 2)} 1fr"
        if wanted != self._shares:
            self._shares = wanted
            panes.styles.grid_rows = wanted

    _shares = ""

    def place_words(self) -> str:
        host = self.host
        if host is None:
            return self.place.host
        words = f"{host.name}  {link_look(host, self.bridge.clock).word}"
        return words + (f"  {count(len(host.notes), 'blind spot')}" if host.notes else "")

    # What is selected, and what belongs to it.

    def _links(self) -> Links:
        host, pane = self.host, self.table
        if host is None or pane is None or pane.cursor_key is None:
            return Links()
        if isinstance(pane, ProgramTable):
            return linking.of_program(host, pane.cursor_key)
        if isinstance(pane, PortTable):
            return linking.of_port(host, pane.cursor_key)
        return linking.of_service(host, pane.cursor_key)

    @property
    def table(self) -> RowTable | None:
        """The table whose cursor counts: the focused one, or the last that was; never an empty one."""
        if isinstance(self.focused, RowTable):
            self._table = self.focused
        chosen = self._table
        return chosen if chosen is not None and chosen.rows else self.query_one(ServiceTable)

    _table: RowTable | None = None

    def _link(self, *, follow: bool) -> None:
        links = self._links()
        lit = {"#services": links.services, "#programs": links.programs, "#ports": links.ports}
        for pane, keys in lit.items():
            table = self.query_one(pane, RowTable)
            table.light(() if table is self.table else keys)
            if follow and table is not self.table:
                table.reveal(keys)
        if follow:
            self._follow(links)

    def _follow(self, links: Links) -> None:
        host = self.host
        if host is None or not self.bridge.ready or self.following is None:
            return
        unit = host.units.get(links.unit)
        sources = self.sources([host.name], [links.component]) if links.component else []
        if unit is not None:
            own = [s for s in sources if s.path in unit.log_paths]
            named = [LogSource(host.name, path, links.component, unit.name) for path in unit.log_paths]
            sources = own or named or sources
        if not sources and not links.component and not links.unit:
            return
        self.following.want(sources)

    def selection(self) -> tuple[str, str]:
        return self.place.host, self._links().component

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        if event.table is self.table:
            self._link(follow=True)

    def on_descendant_focus(self) -> None:
        if isinstance(self.focused, RowTable):
            self._link(follow=True)

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        component = self._links().component
        if component:
            self.post_message(Visit(Place("component", self.place.host, component)))

    def target(self) -> Target | None:
        host, links = self.host, self._links()
        if host is None:
            return None
        unit = host.units.get(links.unit)
        if unit is not None:
            return unit_target(unit, links.component, host.name)
        if not links.component:
            return None
        title = self.bridge.titles.get(links.component, links.component)
        return component_target(links.component, title, host.name)
