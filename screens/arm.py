"""Arming: deliberate, visible, and over by itself."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input

from edxconsole.errors import EdxconsoleError
from edxconsole.inventory.model import Environment
from screens.bridge import Bridge
from screens.modal import BoxModal, words


class ArmModal(BoxModal[bool]):
    """Arms for some minutes. In production the environment's name must be typed."""

    AUTO_FOCUS = "#cancel"

    def __init__(self, bridge: Bridge, minutes: float) -> None:
        super().__init__()
        self._bridge = bridge
        self._minutes = minutes
        self._environment = bridge.inventory.environment
        self._typed = self._environment is Environment.PRODUCTION

    def compose(self) -> ComposeResult:
        minutes = f"{self._minutes:g} min"
        with Vertical(classes="box -careful") as box:
            box.border_title = f"Arm for {minutes}"
            yield words(
                f"For {minutes} this console may change hosts of {self._bridge.inventory.cluster} "
                f"({self._environment}). Each change still shows its plan and asks for its own "
                "confirmation. Press w again to go back to read-only at once."
            )
            if self._typed:
                yield words(f"Type  {self._environment}  and press Enter", classes="gap")
                field = Input(id="name", compact=True)
                field.cursor_blink = False
                yield field
            with Horizontal(classes="buttons"):
                yield Button("Stay read-only", id="cancel", compact=True)
                yield Button(f"Arm for {minutes}", id="arm", compact=True, disabled=self._typed)

    def _named(self) -> bool:
        return not self._typed or self.query_one(Input).value.strip() == self._environment

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#arm", Button).disabled = not self._named()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._named():
            await self._arm()

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "arm" and self._named():
            await self._arm()
        else:
            self.dismiss(False)

    async def _arm(self) -> None:
        try:
            await self._bridge.arm(self._minutes * 60)
        except EdxconsoleError as error:
            self.notify(str(error), severity="error", markup=False)
            self.dismiss(False)
        else:
            self.dismiss(True)
