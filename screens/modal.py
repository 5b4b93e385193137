"""What the console's modals share: a quiet box, Esc leaves it, remote text never markup."""

from __future__ import annotations

from typing import TypeVar

from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.styles import SHEETS
from widgets.clean import clean
from widgets.commands import Command, bindings

Answer = TypeVar("Answer")


class Leave(Command):
    """Close this without doing anything."""

    key, title, action, palette = "escape", "Cancel", "leave", False


class BoxModal(ModalScreen[Answer]):
    """Composes a Vertical of class "box"; `action_leave` answers None."""

    CSS = SHEETS["modal"]
    SCOPED_CSS = False
    BINDINGS = bindings(Leave)

    def action_leave(self) -> None:
        self.dismiss(None)


def words(text: str, **options: str) -> Static:
    """A paragraph of plain text, from anywhere."""
    return Static(Content(clean(text)), **options)  # type: ignore[arg-type]
