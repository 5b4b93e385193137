"""One component of one host opened up, as it was when it was asked: read-only."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Container
from textual.widget import Widget

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.inspect.model import Inspection
from screens.asking import Asking
from screens.asking_screen import FRESH, Again, AskingScreen
from screens.bridge import Bridge
from screens.place import Place
from screens.styles import SHEETS
from widgets.commands import bindings
from widgets.detail_view import DetailView
from widgets.ink import Role
from widgets.inspection_view import InspectionView
from widgets.states import link_look
from widgets.words import clock_time, count, span


class AskAgain(Again):
    """Read the component again, as it is now. What was found stays until the answer is there."""


class InspectScreen(AskingScreen):
    """Asks when one comes here; leaving ends what is still being asked."""

    CSS = SHEETS["inspect"]
    KIND = "inspect"
    AUTO_FOCUS = "#inspection"
    BINDINGS = bindings(AskAgain)

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.asking: Asking = Asking(self.app, bridge, self.pull)

    def panes(self) -> Iterable[Widget]:
        yield Container(
            InspectionView(id="inspection"), DetailView("UNDER THE CURSOR", id="detail"), classes="panes"
        )

    def visit(self, place: Place) -> None:
        if (place.host, place.component) != (self.place.host, self.place.component):
            self.asking.forget()
        found = self.asking.found
        self.due = found is None or self.bridge.clock.now() - found.at > FRESH
        super().visit(place)

    def show(self, cluster: ClusterSnapshot) -> None:
        if self.take_due():
            self.asking.ask(self.place.host, self.place.component)
        view = self.query_one(InspectionView)
        view.title = f"{self.component_title.upper()} ON {self.place.host}"
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
        title = self.component_title
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


def _counts(found: Inspection) -> Iterable[str]:
    if found.findings:
        yield count(len(found.findings), "finding")
    if found.missing:
        yield f"{len(found.missing)} not seen"
