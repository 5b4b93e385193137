"""FilterBar: one line to type a filter in; it works while one types."""

from __future__ import annotations

from dataclasses import dataclass

from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from widgets.commands import Command, bindings
from widgets.match import Match


class ClearFilter(Command):
    """Clear the filter and go back to the pane."""

    key, title, action, footer, palette = "escape", "Clear", "clear", True, False


class FilterBar(Horizontal):
    """Hidden until asked for. Enter keeps the filter, Esc clears it."""

    DEFAULT_CSS = """
    FilterBar { height: 1; display: none; background: $background; }
    FilterBar.-open { display: block; }
    FilterBar Static { width: auto; color: $accent; padding: 0 0 0 1; }
    FilterBar Input { width: 1fr; border: none; height: 1; padding: 0; background: $background; }
    FilterBar Input:focus { border: none; background: $background; }
    """
    BINDINGS = bindings(ClearFilter)

    @dataclass
    class Changed(Message):
        """The filter while it is typed."""

        match: Match

    @dataclass
    class Closed(Message):
        """Typing is over; `keep` is False when the filter was cleared."""

        keep: bool

    async def open(self, match: Match) -> None:
        """Show the bar with a filter to go on from. The field is made when it is first wanted."""
        if not self.query(Input):
            field = Input(placeholder="words that must be there, !word that must not", compact=True)
            field.cursor_blink = False
            await self.mount(Static(Content("/")), field)
        self.add_class("-open")
        field = self.query_one(Input)
        field.value = match.text
        field.focus()

    def close(self) -> None:
        self.remove_class("-open")

    def action_clear(self) -> None:
        self.post_message(self.Changed(Match("")))
        self.post_message(self.Closed(keep=False))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-open"):
            self.post_message(self.Changed(Match.parse(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Closed(keep=True))
