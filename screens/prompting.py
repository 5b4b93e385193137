"""How a transport asks the operator while the screen is open: one modal at a time.

The engine's thread awaits; the screen's loop shows. Answers are handed over and kept nowhere.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from screens.styles import SHEETS
from widgets.clean import clean
from widgets.commands import Command, bindings

T = TypeVar("T")


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


class ModalPrompter:
    """A transport.base.Prompter that shows modals on an app. Made before the app; attached after."""

    def __init__(self) -> None:
        self._app: App[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: asyncio.Lock | None = None
        self._context: contextvars.Context | None = None

    def attach(self, app: App[Any]) -> None:
        self._app = app

    def opened(self) -> None:
        """Called in the app's loop once it runs; before that every question is declined."""
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        self._context = contextvars.copy_context()

    async def secret(self, host: str, prompt: str) -> str | None:
        return await self._across(self._ask(SecretModal(host, prompt)))

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        return bool(await self._across(self._ask(TrustModal(host, address, key_type, fingerprint))))

    async def _across(self, question: Coroutine[Any, Any, T]) -> T | None:
        if self._loop is None or self._loop.is_closed():
            question.close()
            return None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(question, self._loop))

    async def _ask(self, modal: ModalScreen[Any]) -> Any:
        # Textual finds its app by a context variable, which a call from another thread does not bring.
        return await asyncio.get_running_loop().create_task(self._show(modal), context=self._context)

    async def _show(self, modal: ModalScreen[Any]) -> Any:
        app, turn = self._app, self._turn
        if app is None or turn is None:
            return None
        async with turn:
            answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            def answer(value: Any) -> None:
                if not answered.done():
                    answered.set_result(value)

            await app.push_screen(modal, answer)
            try:
                return await answered
            finally:
                # Who asked may have gone meanwhile; then nobody takes the answer.
                if not answered.done() and app.screen is modal:
                    modal.dismiss(None)
