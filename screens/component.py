"""One component on all its hosts: instances, evidence, what it is for, and its log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from textual.containers import Container, Horizontal
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot
from edxconsole.logs.model import LogSource
from screens.details import component_facts
from screens.live import AskHealth, Inspect
from screens.log_screen import LoggingScreen
from screens.place import Place, Target, Visit
from screens.styles import SHEETS
from screens.targets import component_target
from widgets.commands import bindings
from widgets.detail_view import DetailView, Fact
from widgets.ink import Role
from widgets.instance_table import InstanceTable
from widgets.log_pane import LogPane
from widgets.row_table import RowTable


def first_log(sources: Sequence[LogSource], host: HostSnapshot) -> str:
    """Where it complains first: what its manager keeps of its standard error, else the catalog's first."""
    kept = {path for unit in host.units.values() for path in unit.log_paths[-1:]}
    paths = [source.path for source in sources]
    return next((path for path in paths if path in kept), paths[0] if paths else "")


class ComponentScreen(LoggingScreen):
    """The cursor on an instance chooses whose evidence and log are shown; marked ones are followed too."""

    CSS = SHEETS["component"]
    SCOPED_CSS = False
    KIND = "component"
    AUTO_FOCUS = "#instances"
    BINDINGS = bindings(Inspect, AskHealth)

    def panes(self) -> Iterable[Widget]:
        yield Container(
            InstanceTable(self.bridge.clock, id="instances"),
            Horizontal(
                DetailView("WHAT IS KNOWN", id="detail", empty="nothing yet"),
                LogPane(id="log"),
                id="below",
                classes="side",
            ),
            classes="panes",
        )

    def visit(self, place: Place) -> None:
        if place.component != self.place.component:
            table = self.query_one(InstanceTable) if self.is_mounted else None
            if table is not None:
                table.cursor_key = place.host or None
                table.marked = frozenset()
        super().visit(place)
        if place.host and self.is_mounted:
            self.query_one(InstanceTable).move_to(place.host)

    def show(self, cluster: ClusterSnapshot) -> None:
        table = self.query_one(InstanceTable)
        table.title = (
            self.bridge.titles.get(self.place.component, self.place.component).upper() or "COMPONENT"
        )
        table.show_component(cluster.hosts.values(), self.place.component, self._logs(cluster))
        self.fit_height(table, 3 + max(1, min(len(table.rows), self.size.height // 3)))
        self._follow()
        self._explain()

    def _logs(self, cluster: ClusterSnapshot) -> dict[str, str]:
        """The log to look at first on each host; asked for again only where its services changed."""
        component = self.place.component
        fresh: dict[tuple[str, str], tuple[object, object, str]] = {}
        for name, host in cluster.hosts.items():
            if not self.bridge.ready or all(i.component != component for i in host.instances):
                continue
            known = self._known_logs.get((name, component))
            if known is None or known[0] is not host.instances or known[1] is not host.units:
                known = (host.instances, host.units, first_log(self.sources([name], [component]), host))
            fresh[name, component] = known
        self._known_logs = fresh
        return {name: log for (name, _), (_, _, log) in fresh.items()}

    _known_logs: Mapping[tuple[str, str], tuple[object, object, str]] = MappingProxyType({})

    @property
    def _host(self) -> str:
        return self.query_one(InstanceTable).cursor_key or ""

    def _explain(self) -> None:
        host = self.bridge.cluster.hosts.get(self._host)
        facts = component_facts(self.bridge, host, self.place.component) if host is not None else iter(())
        self.query_one(DetailView).show([*facts, *self._files()])

    def _files(self) -> Iterator[Fact]:
        known = self.bridge.component(self.place.component)
        if known is None:
            return
        for label, paths in (
            ("config file", list(known.configs)),
            ("writes to", [log.path for log in known.logs if not log.personal]),
            ("also called", [a.name for a in known.aliases]),
        ):
            for path in paths:
                yield Fact(label, path, Role.TEXT)
                label = ""

    def _follow(self) -> None:
        if self.following is None or not self.bridge.ready or not self._host:
            return
        table = self.query_one(InstanceTable)
        hosts = [row.key for row in table.rows if row.key in table.marked] or [self._host]
        self.following.want(self.sources(hosts, [self.place.component]))

    def selection(self) -> tuple[str, str]:
        return self._host, self.place.component

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        self._explain()
        self._follow()

    def on_row_table_marked(self, event: RowTable.Marked) -> None:
        self._follow()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        self.post_message(Visit(Place("host", event.key, self.place.component)))

    def target(self) -> Target | None:
        component = self.place.component
        if not component or not self._host:
            return None
        return component_target(component, self.bridge.titles.get(component, component), self._host)

    def place_words(self) -> str:
        return self.bridge.titles.get(self.place.component, self.place.component)
