"""What a transport asks the operator while the screen is open. Answers are kept nowhere."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from screens.styles import SHEETS
from widgets.clean import clean
from widgets.commands import Command, bindings


class Decline(Command):
    """Answer nothing; the host stays unconnected, the others go on."""

    key, title, action, palette = "escape", "Decline", "decline", False


class SecretModal(ModalScreen[str | None]):
    """A password, passphrase or one-time code. Dots on screen, never kept."""

    CSS = SHEETS["prompting"]
    SCOPED_CSS = False
    BINDINGS = bindings(Decline)

    def __init__(self, host: str, prompt: str) -> None:
        super().__init__()
        self._host = host
        self._prompt = clean(prompt).strip() or "password"

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Content(f"{self._host} asks"), classes="title")
            yield Static(Content(self._prompt))
            field = Input(password=True, compact=True)
            field.cursor_blink = False
            yield field
            yield Static(Content("Enter answers   Esc leaves this host unconnected"), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)

    def action_decline(self) -> None:
        self.dismiss(None)


class TrustModal(ModalScreen[bool]):
    """An unknown host key. Refuse is focused; nothing is pinned by a stray Enter."""

    CSS = SHEETS["prompting"]
    SCOPED_CSS = False
    BINDINGS = bindings(Decline)
    AUTO_FOCUS = "#refuse"

    def __init__(self, host: str, address: str, key_type: str, fingerprint: str) -> None:
        super().__init__()
        self._words = (host, clean(address), clean(key_type), clean(fingerprint))

    def compose(self) -> ComposeResult:
        host, address, key_type, fingerprint = self._words
        with Vertical(classes="box"):
            yield Static(Content(f"{host} is not known yet"), classes="title")
            yield Static(Content(f"{address} shows this {key_type} host key:"))
            yield Static(Content(fingerprint), classes="fingerprint")
            yield Static(
                Content(
                    "Compare it with what the host's owner gives you, e.g. by "
                    "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console."
                )
            )
            with Horizontal(classes="buttons"):
                yield Button("Refuse", id="refuse", compact=True)
                yield Button("It is the same: trust it", id="trust", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "trust")

    def action_decline(self) -> None:
        self.dismiss(False)
