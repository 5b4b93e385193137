"""LoggingScreen: a LiveScreen with a log pane that is fed while the screen lives."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.errors import EdxconsoleError
from edxconsole.logs.model import LogSource
from screens.following import Following
from screens.live import LiveScreen
from widgets.canvas import Canvas
from widgets.log_pane import LogPane
from widgets.match import Match


class LoggingScreen(LiveScreen):
    """Subclasses compose exactly one LogPane."""

    following: Following | None = None

    def on_mount(self) -> None:
        gate = getattr(self.app, "terminal_behind", None)
        self.following = Following(
            self.bridge, self.query_one(LogPane), blocked=gate if callable(gate) else lambda: False
        )
        super().on_mount()

    def on_unmount(self) -> None:
        if self.following is not None:
            self.following.close()

    def key_pressed(self) -> None:
        if self.following is not None:
            self.following.pulse.key()

    def sources(self, hosts: Iterable[str], components: Iterable[str] | None = None) -> list[LogSource]:
        """What the engine knows of log files there; nothing while it starts."""
        if not self.bridge.ready:
            return []
        try:
            return self.bridge.engine.log_sources(list(hosts), components)
        except EdxconsoleError as error:
            self.notify(str(error), severity="error", markup=False)
            return []

    def filter_pane(self, pane: Canvas, match: Match) -> None:
        if isinstance(pane, LogPane):
            if pane.filter(match) and self.following is not None:
                self.following.search()
        else:
            super().filter_pane(pane, match)
