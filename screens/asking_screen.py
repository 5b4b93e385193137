"""AskingScreen: a screen whose items are asked of hosts when one comes to it; leaving ends the asking."""

from __future__ import annotations

from typing import Protocol

from screens.bridge import Bridge
from screens.live import LiveScreen
from screens.place import Target
from screens.targets import component_target
from widgets.canvas import Canvas
from widgets.commands import Command
from widgets.detail_view import DetailView
from widgets.item_view import ItemView
from widgets.match import Match

FRESH = 60.0
"""seconds for which answers are shown again, when one comes back, instead of asking anew"""


class Stoppable(Protocol):
    """What is asked: its work on hosts can be left."""

    def stop(self) -> None: ...


class Again(Command):
    """Ask anew. What it was told stays until the answer is there."""

    key, title, action, footer = "r", "Ask again", "ask_again", True


class AskingScreen(LiveScreen):
    """Subclasses compose an ItemView and a DetailView, and begin to ask where `take_due()` says so."""

    SCOPED_CSS = False
    asking: Stoppable

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.due = False
        """whether to ask as soon as there is an engine to ask"""

    def take_due(self) -> bool:
        """Whether to begin now; True once."""
        if not (self.due and self.bridge.ready and self.place.component):
            return False
        self.due = False
        return True

    def on_screen_suspend(self) -> None:
        if self.app.current_mode != self.KIND:
            self.due = False
            self.asking.stop()

    def on_unmount(self) -> None:
        self.asking.stop()

    def action_ask_again(self) -> None:
        self.due = True
        self.pull()

    def on_item_view_moved(self, event: ItemView.Moved) -> None:
        self.query_one(DetailView).show(event.item.told if event.item is not None else ())

    def filter_pane(self, pane: Canvas, match: Match) -> None:
        if isinstance(pane, ItemView):
            pane.filter(match)
            self.pull()

    @property
    def component_title(self) -> str:
        return self.bridge.titles.get(self.place.component, self.place.component)

    def target(self) -> Target | None:
        host, component = self.selection()
        if not (host and component):
            return None
        return component_target(component, self.component_title, host)
