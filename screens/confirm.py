"""The confirmation: exactly what would be done, to which incarnation; Cancel is focused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from edxconsole.inventory.model import Environment
from edxconsole.plans.arming import locked
from edxconsole.plans.model import Plan, Step
from screens.arm import ArmModal
from screens.bridge import Bridge
from screens.modal import BoxModal, words
from widgets.detail_view import DetailView, Fact
from widgets.ink import Role
from widgets.words import told

_LONGEST = 200
"""characters of a reason or phrase"""


class ConfirmModal(BoxModal[Plan]):
    """Answers the plan, with the reason for the journal, only when armed.

    In production the phrase must have been typed, and a reason given; elsewhere a reason is welcome.
    """

    AUTO_FOCUS = "#cancel"

    def __init__(self, bridge: Bridge, plan: Plan, minutes: float) -> None:
        super().__init__()
        self._bridge = bridge
        self._plan = plan
        self._minutes = minutes
        self._typed = plan.environment == Environment.PRODUCTION
        self.phrase = confirmation_phrase(plan)

    def compose(self) -> ComposeResult:
        with Vertical(classes="box -careful") as box:
            box.border_title = f"{self._plan.verb} {self._plan.selector}"
            yield DetailView("THIS WILL BE DONE", id="plan")
            yield words("", id="refusal", classes="refusal")
            wish = "required in production" if self._typed else "optional"
            yield words(f"Why? For the journal; {wish}.", classes="gap")
            yield _field("reason")
            if self._typed:
                text = f"{self._plan.environment}: to do it, type  {self.phrase}  and press Enter"
                yield words(text, classes="gap")
                yield _field("phrase")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Arm first", id="arm", compact=True)
                yield Button(f"Do it: {self._plan.verb}", id="run", compact=True)

    def on_mount(self) -> None:
        if not self.query("#run"):
            return  # dismissed in the middle of its start, it has some of its parts only
        self.query_one(DetailView).show(plan_facts(self._plan))
        self.call_after_refresh(self._size_plan)
        self.set_interval(1.0, self._judge)
        self._judge()

    def _size_plan(self) -> None:
        """As high as the plan needs, once its width is known."""
        self.query_one(DetailView).show_whole(plan_facts(self._plan), self.size.height // 2)

    def _phrase_typed(self) -> bool:
        if not self._typed:
            return True
        return " ".join(self.query_one("#phrase", Input).value.split()) == self.phrase

    def _reason(self) -> str:
        return " ".join(self.query_one("#reason", Input).value.split())

    def _allowed(self) -> bool:
        explained = bool(self._reason()) or not self._typed
        return self._bridge.is_armed and self._phrase_typed() and explained

    def _judge(self) -> None:
        """What may be pressed right now: arming can run out while this is open."""
        armed = self._bridge.is_armed
        self.query_one("#run", Button).disabled = not self._allowed()
        self.query_one("#arm", Button).display = not armed and not self._bridge.read_only
        text = "" if armed else "The console is read-only: this can't be done before it is armed."
        if self._bridge.read_only:
            text = str(locked())
        if text != self._said:
            self._said = text
            refusal = self.query_one("#refusal", Static)
            refusal.display = bool(text)
            refusal.update(Content(text))

    _said: str | None = None

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._judge()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "reason":
            self.query_one("#phrase" if self._typed else "#cancel").focus()
        elif not self._phrase_typed():
            self.notify(f"That is not the phrase: {self.phrase}", severity="warning", markup=False)
        elif not self._reason():
            self.query_one("#reason").focus()
            self.notify("Say why first: it goes into the journal.", severity="warning", markup=False)
        elif self._allowed():
            self._confirm()
        elif not self._bridge.read_only:
            self.query_one("#arm", Button).focus()

    def _confirm(self) -> None:
        self.dismiss(replace(self._plan, reason=self._reason()))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "arm":
            self.app.push_screen(ArmModal(self._bridge, self._minutes), lambda _: self._armed())
        elif event.button.id == "run" and self._allowed():
            self._confirm()
        else:
            self.dismiss(None)

    def _armed(self) -> None:
        """Back from arming: on to what must be typed, or to Cancel; never onto the button that does it."""
        self._judge()
        self.query_one("#reason" if self._typed else "#cancel").focus()


def _field(name: str) -> Input:
    field = Input(id=name, compact=True, max_length=_LONGEST)
    field.cursor_blink = False
    return field


def confirmation_phrase(plan: Plan) -> str:
    """ "restart lms app1": verb, what, where."""
    what, _, where = plan.selector.partition("@")
    place = plan.hosts[0] if len(plan.hosts) == 1 else where or f"{len(plan.hosts)} hosts"
    return " ".join(part for part in (str(plan.verb), what, place) if part)


def plan_facts(plan: Plan) -> Iterator[Fact]:
    """Each step with its command, the incarnation it is meant for, what is checked, and the warning."""
    for number, step in enumerate(plan.steps, 1):
        if number > 1:
            yield Fact("", "")
        yield from _step_facts(number, step)


def _step_facts(number: int, step: Step) -> Iterator[Fact]:
    yield Fact(f"step {number}", f"{step.verb} {step.unit} on {step.host}", Role.STRONG)
    yield Fact("command", step.command, Role.ACCENT)
    if step.preflight:
        yield Fact("first", " ".join(step.preflight) + " must succeed")
    yield Fact("now", told(step.meant_for))
    if step.warning:
        yield Fact("warning", step.warning, Role.DEGRADED)
    for gate in step.gates:
        yield Fact(f"then {gate.level}", gate.text, Role.DIM)
    yield Fact(
        "at most", f"{step.deadline:.0f} s to do it, {step.gate_deadline:.0f} s to be healthy", Role.DIM
    )
