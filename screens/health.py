"""Every health check of a component on all its hosts, asked now; and how often it is asked by itself."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot
from screens.asking_screen import FRESH, Again, AskingScreen
from screens.bridge import Bridge
from screens.health_asking import HealthAsking
from screens.live import Inspect
from screens.place import Place
from screens.styles import SHEETS
from widgets.commands import Command, bindings
from widgets.detail_view import DetailView
from widgets.health_rows import health_rows
from widgets.health_view import HealthView
from widgets.ink import Role


class AskAgain(Again):
    """Ask the checks again that cost nothing. Each answer stays until the next one is there."""


class AskCostly(Command):
    """Ask those as well that cost: each says what it costs. Of those that the filter leaves, on all hosts."""

    key, title, action, footer = "x", "Ask costly", "ask_costly", True


class HealthScreen(AskingScreen):
    """Asks what costs nothing when one comes here, the rest when told to; leaving ends the asking."""

    CSS = SHEETS["health"]
    KIND = "health"
    AUTO_FOCUS = "#checks"
    BINDINGS = [*bindings(AskAgain, AskCostly), Inspect.binding(footer=False)]  # noqa: RUF012

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.asking: HealthAsking = HealthAsking(self.app, bridge, self.pull)
        self._wanted = ""
        """the host whose first check the cursor goes to, once it is listed"""

    def panes(self) -> Iterable[Widget]:
        yield Container(HealthView(id="checks"), DetailView("UNDER THE CURSOR", id="detail"), classes="panes")

    def visit(self, place: Place) -> None:
        if place.component != self.asking.component:
            self.asking.forget()
        asked = self.asking.asked_at
        self.due = asked is None or self.bridge.clock.monotonic() - asked > FRESH
        self._wanted = place.host
        super().visit(place)

    def action_ask_costly(self) -> None:
        view = self.query_one(HealthView)
        if not self.asking.ask_costly(item.key for item in view.items):
            self.notify("None of the checks here costs anything.", markup=False)

    def show(self, cluster: ClusterSnapshot) -> None:
        if self.take_due():
            self.asking.ask(self.place.component)
        self.asking.ask_missed()
        view = self.query_one(HealthView)
        view.title = f"HEALTH OF {self.component_title.upper()}"
        rows = health_rows(self.asking.lines.values(), cluster.hosts, self.bridge.clock)
        view.show(rows, *self._said(cluster))
        view.set_note(" · ".join(self._notes(view)))
        if self._wanted and view.items:
            first = next((item.key for item in view.items if item.key.startswith(f"{self._wanted}/")), "")
            self._wanted = ""
            view.move_to(first)

    # What is said above and beside the checks.

    def _said(self, cluster: ClusterSnapshot) -> tuple[str, Role]:
        """A sentence where there is nothing to list."""
        if not self.bridge.ready:
            return "the engine is still starting", Role.DIM
        if self.asking.lines:
            return "", Role.DIM
        component, title = self.place.component, self.component_title
        there = [h.name for h in cluster.hosts.values() if any(i.component == component for i in h.instances)]
        if not there:
            return f"{title} is on no host, and expected on none", Role.DIM
        return f"? the catalog knows of no check of {title}: how well it does is unknown", Role.UNKNOWN

    def _notes(self, view: HealthView) -> Iterable[str]:
        lines = self.asking.lines.values()
        if lines:
            answered = sum(line.asked is not None and not line.failed for line in lines)
            yield f"{answered} of {len(lines)} answered"
        if self.asking.running:
            yield f"asking {self.asking.running}"
        costly = sum(line.costly and line.asked is None and line.began is None for line in lines)
        if costly:
            yield f"{costly} costly not asked"
        if view.match:
            yield f"{len(view.items)} shown  /{view.match.text}"

    # What the cursor is on.

    def selection(self) -> tuple[str, str]:
        key = self.query_one(HealthView).cursor_key if self.is_mounted else ""
        line = self.asking.lines.get(key)
        return line.host if line is not None else self.place.host, self.place.component

    def place_words(self) -> str:
        return self.component_title
