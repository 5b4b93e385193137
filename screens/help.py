"""Help made from the keys that work right now, so that it can't be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.app import App, ComposeResult
from textual.binding import ActiveBinding
from textual.containers import Vertical

from screens.modal import BoxModal, words
from widgets.canvas import Canvas
from widgets.cells import Column, Row, cell
from widgets.ink import Role
from widgets.row_table import RowTable

COLUMNS = (Column("key", 12, 0), Column("", 16, 0), Column("", 30, 1, grow=1))


class HelpModal(BoxModal[None]):
    """A table of the live bindings: what works in this pane, on this screen, everywhere."""

    def __init__(self, active: Iterable[ActiveBinding]) -> None:
        super().__init__()
        self._active = list(active)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Keys that work here"
            yield RowTable("KEYS", COLUMNS, id="help-keys", header_from=0)
            yield words(
                "● up   ◐ degraded   ✗ down   ? unknown   ○ absent   ≈ stale   ⊘ lost", classes="hint"
            )

    def on_mount(self) -> None:
        table = self.query_one(RowTable)
        table.show(help_rows(self._active, self.app))
        table.focus()

    def on_row_table_opened(self, event: RowTable.Opened) -> None:
        event.stop()

    def on_row_table_moved(self, event: RowTable.Moved) -> None:
        event.stop()


def help_rows(active: Iterable[ActiveBinding], app: App[object]) -> Iterator[Row]:
    """One row per command, the pane's own first."""
    ours = [a for a in active if a.binding.id is not None]
    ours.sort(key=lambda a: 0 if isinstance(a.node, Canvas) else 2 if a.node is app else 1)
    keys: dict[tuple[str, str], list[str]] = {}
    helps: dict[tuple[str, str], str] = {}
    for node, binding, _, tooltip in ours:
        name = (binding.id or "", binding.description)
        shown = app.get_key_display(binding)
        if shown not in keys.setdefault(name, []):
            keys[name].append(shown)
        helps[name] = tooltip or binding.tooltip
        _ = node
    for name, shown_keys in keys.items():
        yield Row(
            name[0],
            (cell("  " + " ".join(shown_keys), Role.ACCENT), cell(name[1], Role.STRONG), cell(helps[name])),
        )
