"""One component of one host opened up, as it was when it was asked: read-only."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.inspect.model import Inspection
from screens.asking import Asking
from screens.bridge import Bridge
from screens.live import LiveScreen
from screens.place import Place, Target
from screens.styles import SHEETS
from screens.targets import component_target
from widgets.canvas import Canvas
from widgets.commands import Command, bindings
from widgets.detail_view import DetailView
from widgets.ink import Role
from widgets.inspection_view import InspectionView
from widgets.item_view import ItemView
from widgets.match import Match
from widgets.states import link_look
from widgets.words import clock_time, count, span

FRESH = 60.0
"""seconds for which an inspection is shown again, when one comes back, instead of asking anew"""


class AskAgain(Command):
    """Read the component again, as it is now. What was found stays until the answer is there."""

    key, title, action, footer = "r", "Ask again", "ask_again", True


class InspectScreen(LiveScreen):
    """Asks when one comes here; leaving ends what is still being asked."""

    CSS = SHEETS["inspect"]
    SCOPED_CSS = False
    KIND = "inspect"
    AUTO_FOCUS = "#inspection"
    BINDINGS = bindings(AskAgain)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.asking = Asking(self.app, bridge, self.pull)
        self._due = False

    def panes(self) -> Iterable[Widget]:
        yield Container(
            InspectionView(id="inspection"), DetailView("UNDER THE CURSOR", id="detail"), classes="panes"
        )

    def visit(self, place: Place) -> None:
        if (place.host, place.component) != (self.place.host, self.place.component):
            self.asking.forget()
        found = self.asking.found
        self._due = found is None or self.bridge.clock.now() - found.at > FRESH
        super().visit(place)

    def on_screen_suspend(self) -> None:
        if self.app.current_mode != self.KIND:
            self._due = False
            self.asking.stop()

    def on_unmount(self) -> None:
        self.asking.stop()

    def action_ask_again(self) -> None:
        self._due = True
        self.pull()

    def show(self, cluster: ClusterSnapshot) -> None:
        if self._due and self.bridge.ready and self.place.component:
            self._due = False
            self.asking.ask(self.place.host, self.place.component)
        view = self.query_one(InspectionView)
        title = self.bridge.titles.get(self.place.component, self.place.component)
        view.title = f"{title.upper()} ON {self.place.host}"
        view.show(self.asking.found, *self._said())
        view.set_note(" · ".join(self._notes(view)))

    # What is said above and beside what was found.

    def _said(self) -> tuple[str, Role]:
        """A sentence: how the asking stands while there is nothing yet, or why it came to nothing."""
        asking = self.asking
        if asking.error:
            return f"✗ {asking.error}", Role.DOWN
        if asking.found is not None:
            return "", Role.DIM
        if asking.began is None:
            return "the engine is still starting", Role.DIM
        title = self.bridge.titles.get(self.place.component, self.place.component)
        return f"asking {self.place.host} about {title}, {self._elapsed()}; Esc leaves", Role.TEXT

    def _elapsed(self) -> str:
        began = self.asking.began
        return span(self.bridge.clock.monotonic() - began) if began is not None else ""

    def _notes(self, view: InspectionView) -> Iterable[str]:
        found = self.asking.found
        if found is not None:
            yield f"read {clock_time(found.at)}, {span(self.bridge.clock.now() - found.at)} ago"
            yield from _counts(found)
        if self.asking.began is not None:
            yield f"asking{' again' if found is not None else ''}, {self._elapsed()}"
        host = self.bridge.cluster.hosts.get(self.place.host)
        if host is not None and not host.trusted:
            yield f"{host.name} is {link_look(host, self.bridge.clock).word}"
        if view.match:
            yield f"{len(view.items)}  /{view.match.text}"

    def on_item_view_moved(self, event: ItemView.Moved) -> None:
        self.query_one(DetailView).show(event.item.told if event.item is not None else ())

    def filter_pane(self, pane: Canvas, match: Match) -> None:
        if isinstance(pane, InspectionView):
            pane.filter(match)
            self.pull()

    def target(self) -> Target | None:
        place = self.place
        if not (place.host and place.component):
            return None
        return component_target(
            place.component, self.bridge.titles.get(place.component, place.component), place.host
        )


def _counts(found: Inspection) -> Iterable[str]:
    if found.findings:
        yield count(len(found.findings), "finding")
    if found.missing:
        yield f"{len(found.missing)} not seen"
