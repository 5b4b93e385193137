"""A plan while it runs: steps, gates and their evidence as they come."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from screens.modal import BoxModal, words
from screens.plan_run import PlanRun
from widgets.detail_view import DetailView


class ProgressModal(BoxModal[None]):
    """Closing it does not stop the plan; its end is then told in a notice."""

    AUTO_FOCUS = "#close"

    def __init__(self, run: PlanRun) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = f"{self._run.plan.verb} {self._run.plan.selector}"
            yield DetailView("STEPS", id="steps")
            yield words("Closing this does not stop it.", classes="hint")
            with Horizontal(classes="buttons"):
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self._run.changed = self._show
        self.call_after_refresh(self._show)

    def on_unmount(self) -> None:
        self._run.changed = lambda: None

    def _show(self) -> None:
        if self.is_attached:
            self.query_one(DetailView).show_whole(self._run.facts(), self.size.height // 2)
            self.query_one(".hint").display = not self._run.ended

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(None)
