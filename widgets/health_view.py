"""HealthView: every health check of a component, host by host, each answer as it comes."""

from __future__ import annotations

from collections.abc import Iterable

from textual.strip import Strip

from widgets.health_lines import HealthLayout
from widgets.health_rows import HealthRow
from widgets.ink import Role
from widgets.item_view import ItemView
from widgets.items import Block, Runs


class HealthView(ItemView):
    """Column titles stay in view while the checks below them scroll."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("HEALTH", id=id)
        self._rows: tuple[HealthRow, ...] = ()
        self._titles: Runs = ()

    def show(self, rows: Iterable[HealthRow], said: str = "", role: Role = Role.DIM) -> None:
        """The checks in their order, with a sentence above them; the sentence alone when there are none."""
        fresh = tuple(rows)
        if self.say(said, role) or fresh != self._rows:
            self._rows = fresh
            self.renew()

    def blocks(self, width: int) -> list[Block]:
        if not self._rows:
            self._titles = ()
            return []
        layout = HealthLayout(self._rows, width, self.safe)
        if layout.head() != self._titles:
            self._titles = layout.head()
            self.refresh()
        return [Block((), tuple(layout.item(row) for row in self._rows))]

    def head_lines(self) -> int:
        return 2 if self._titles else 1

    def head_strip(self, y: int, width: int) -> Strip:
        runs = [(text, self.ink[role]) for text, role in self._titles]
        return self.kept(("titles", self._titles, width), lambda: self.line(runs, width))
