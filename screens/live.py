"""LiveScreen: what every screen of the console shares: status line, filter, keys, zoom, back."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from edxconsole.cluster.model import ClusterSnapshot
from screens.bridge import Bridge
from screens.place import Place, Target, Visit, WantAct
from widgets.bars import KeyBar, Line, StatusBar
from widgets.canvas import Canvas
from widgets.commands import Command, bindings
from widgets.filter_bar import FilterBar
from widgets.ink import Role
from widgets.match import Match
from widgets.row_table import RowTable

LEAST_WIDTH, LEAST_HEIGHT = 60, 16


class Filter(Command):
    """Show only lines with certain words in the focused pane: `celery !INFO`."""

    key, shown, title, action, footer = "slash", "/", "Filter", "filter", True


class Back(Command):
    """Clear the filter, leave the zoom, or go back to where one was before."""

    key, title, action, palette = "escape", "Back", "back", False


class Zoom(Command):
    """Give the whole screen to the focused pane, or take it back."""

    key, title, action, footer = "z", "Zoom", "zoom", True


class Act(Command):
    """Choose what to do with the selected service: start, stop, restart, reload. Nothing happens yet."""

    key, title, action, footer = "a", "Actions", "act", True


class Inspect(Command):
    """Open the selected component up: what it was told, what is found of it, from where. Changes nothing."""

    key, title, action, footer = "i", "Inspect", "inspect", True


class AskHealth(Command):
    """Ask every health check of the selected component now, on all its hosts; those that cost are listed."""

    key, shown, title, action = "H", "H", "Ask health now", "ask_health"


class LiveScreen(Screen[None]):
    """A screen that follows the cluster. Subclasses compose panes and fill them in `show`."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST_WIDTH, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST_HEIGHT, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS = bindings(Act, Filter, Zoom, Back)
    KIND = ""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.place = Place(self.KIND)
        self._pane: Canvas | None = None
        self._last_focused: Widget | None = None
        self._composed = False

    def compose(self) -> ComposeResult:
        yield StatusBar(self.bridge.clock, id="status")
        yield from self.panes()
        if self.bridge.notice:
            notice = Line(id="notice")
            notice.say(((f" {self.bridge.notice}", Role.DIM),))
            yield notice
        yield Static(id="too-small")
        yield FilterBar()
        yield KeyBar(id="keys")

    def panes(self) -> Iterable[Widget]:
        """The panes of this screen."""
        raise NotImplementedError

    def show(self, cluster: ClusterSnapshot) -> None:
        """Fill the panes from a snapshot."""
        raise NotImplementedError

    def target(self) -> Target | None:
        """What the cursor is on, as something to act on."""
        return None

    def selection(self) -> tuple[str, str]:
        """Host and component under the cursor, "" where there is none: where other screens begin."""
        return self.place.host, self.place.component

    def visit(self, place: Place) -> None:
        """Look at something else."""
        self.place = place
        if self.is_mounted:
            self.pull()

    # Life.

    def on_mount(self) -> None:
        self._composed = True
        self.bindings_updated_signal.subscribe(self, lambda _: self._show_keys())
        self.pull()

    def on_screen_resume(self) -> None:
        self.pull()
        self._show_keys()

    def on_resize(self) -> None:
        text = f"The terminal is {self.size.width}×{self.size.height}; "
        text += f"edxconsole needs at least {LEAST_WIDTH}×{LEAST_HEIGHT}."
        self.query_one("#too-small", Static).update(Content(text))
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self.pull()
        self._show_keys()
        self._focus_again()

    def on_descendant_focus(self) -> None:
        self._last_focused = self.focused

    def _focus_again(self) -> None:
        """Panes that hid because the terminal was too small have lost the focus: give it back."""
        chain = self.focus_chain
        if self.focused is None and chain:
            wanted = self._last_focused
            self.set_focus(wanted if wanted in chain else chain[0])

    def pull(self) -> None:
        """Bring everything up to date: called after changes and once a second for ages."""
        # Ended in the middle of its start it has some of its panes only; ending, it loses them one by one.
        if not (self._composed and self.app.is_running):
            return
        cluster = self.bridge.pull()
        try:
            status = self.query_one("#status", StatusBar)
        except NoMatches:
            return
        status.show(cluster, self.place_words(), self.bridge.armed, self.bridge.changed)
        self.show(cluster)

    def place_words(self) -> str:
        return "" if self.place.kind == "cluster" else self.place.words(self.bridge.titles)

    def _show_keys(self) -> None:
        if self.is_mounted and self.app.screen is self:
            keys = shown_keys(self.active_bindings.values(), self)
            wide = self.has_class("-normal") or self.has_class("-wide")
            self.query_one("#keys", KeyBar).show([*keys, ("1-4", "Screens")] if wide else keys)

    # Panes.

    @property
    def pane(self) -> Canvas | None:
        """The focused pane, or the one that was before the filter was opened."""
        if isinstance(self.focused, Canvas):
            return self.focused
        return self._pane

    async def action_filter(self) -> None:
        pane = self.pane
        if pane is not None:
            self._pane = pane
            match = getattr(pane, "match", Match(""))
            await self.query_one(FilterBar).open(match)

    def on_filter_bar_changed(self, event: FilterBar.Changed) -> None:
        self._filter(event.match)

    def on_filter_bar_closed(self, event: FilterBar.Closed) -> None:
        self.query_one(FilterBar).close()
        if self._pane is not None:
            self._pane.focus()

    def _filter(self, match: Match) -> None:
        if self.pane is not None:
            self.filter_pane(self.pane, match)

    def filter_pane(self, pane: Canvas, match: Match) -> None:
        """Apply a filter to a pane, if it knows filters."""
        if isinstance(pane, RowTable):
            pane.filter(match)

    def key_pressed(self) -> None:
        """A key came: whatever paints by itself gives way for a moment."""

    def action_back(self) -> None:
        pane = self.pane
        if pane is not None and getattr(pane, "match", None):
            self._filter(Match(""))
        elif self.has_class("-zoomed"):
            self.action_zoom()
        else:
            self.app.call_later(self.run_action, "app.go_back")

    def action_zoom(self) -> None:
        pane = self.pane
        if pane is None:
            return
        zoomed = not self.has_class("-zoomed")
        self.set_class(zoomed, "-zoomed")
        for other in self.query(".panes Canvas"):
            other.set_class(zoomed and other is pane, "-zoom")
        for side in self.query(".side"):
            side.set_class(zoomed and pane not in side.query(Canvas), "-away")
        pane.styles.height = None
        self.call_after_refresh(self.pull)

    def fit_height(self, table: RowTable, lines: int) -> None:
        """As high as what it has to say, unless a pane is zoomed."""
        if self.has_class("-zoomed"):
            return
        height = table.styles.height
        if height is None or height.cells != lines:
            table.styles.height = lines

    def action_inspect(self) -> None:
        host, component = self.selection()
        there = [
            h.name
            for h in self.bridge.cluster.hosts.values()
            if component in {i.component for i in h.instances}
        ]
        if not (host and component):
            self.notify(self._nothing("Nothing is selected that could be inspected."), markup=False)
        elif there and host not in there:
            title = self.bridge.titles.get(component, component)
            self.notify(f"{title} is not on {host}, but on {', '.join(there)}.", markup=False)
        else:
            self.post_message(Visit(Place("inspect", host, component)))

    def action_ask_health(self) -> None:
        host, component = self.selection()
        if component:
            self.post_message(Visit(Place("health", host, component)))
        else:
            self.notify(self._nothing("Nothing is selected whose health could be asked."), markup=False)

    def _nothing(self, sentence: str) -> str:
        """Why there is no component under the cursor."""
        host, component = self.selection()
        return (
            f"This is the whole host {host}: choose one of its components."
            if host and not component
            else sentence
        )

    def action_act(self) -> None:
        target = self.target()
        if target is None:
            self.notify("Nothing is selected that could be acted on.", markup=False)
        else:
            self.post_message(WantAct(target))


def shown_keys(active: Iterable[ActiveBinding], screen: Screen[None]) -> list[tuple[str, str]]:
    """Key and word of the live bindings that belong in the footer."""
    pairs: dict[str, str] = {}
    for _, binding, enabled, _ in active:
        if binding.show and enabled and binding.description not in pairs:
            pairs[binding.description] = screen.app.get_key_display(binding)
    return [(key, word) for word, key in pairs.items()]
