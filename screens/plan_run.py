"""PlanRun: a confirmed plan while it runs, whether or not anybody looks at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from edxconsole.errors import EdxconsoleError
from edxconsole.plans.model import GateResult, Plan, PlanEvent, PlanState, Step, StepState
from screens.bridge import Bridge
from widgets.detail_view import Fact
from widgets.ink import Role
from widgets.words import told

_LOOK = {
    StepState.PENDING: ("○", Role.DIM),
    StepState.OK: ("●", Role.UP),
    StepState.PRECHECK_FAILED: ("✗", Role.DOWN),
    StepState.ACT_FAILED: ("✗", Role.DOWN),
    StepState.GATE_FAILED: ("✗", Role.DOWN),
    StepState.UNKNOWN: ("?", Role.UNKNOWN),
    StepState.SKIPPED: ("○", Role.DIM),
}
_WORDS = {
    StepState.PENDING: "waits its turn",
    StepState.PRECHECK: "checking before the act",
    StepState.ACT: "acting",
    StepState.SETTLE: "settling",
    StepState.GATE: "checking health",
    StepState.OK: "done, healthy",
    StepState.PRECHECK_FAILED: "not done: a check before it failed",
    StepState.ACT_FAILED: "the act failed",
    StepState.GATE_FAILED: "done, but health did not come back",
    StepState.UNKNOWN: "it is not known whether it was done",
    StepState.SKIPPED: "skipped",
}


class PlanRun:
    """Collects what the engine says of one run; `changed` is called in the screen's loop.

    Args:
        bridge: the engine.
        plan: confirmed by the operator.
    """

    def __init__(self, bridge: Bridge, plan: Plan) -> None:
        self._bridge = bridge
        self.plan = plan
        self.state: PlanState | None = None
        """None while it runs and when it ended by an error"""
        self.error: EdxconsoleError | None = None
        self.ended = False
        self.changed: Callable[[], None] = lambda: None
        self._steps: dict[int, StepState] = {}
        self._texts: dict[int, list[str]] = {}
        self._gates: dict[int, dict[str, GateResult]] = {}

    async def run(self) -> None:
        """To the plan's end; errors become `error`."""
        loop = asyncio.get_running_loop()

        def on_event(event: PlanEvent) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._take, event)

        try:
            work = self._bridge.engine.run_plan(self.plan, confirmation=self.plan.digest, on_event=on_event)
            self.state = await self._bridge.ask(work)
        except EdxconsoleError as error:
            self.error = error
        finally:
            self.ended = True
            self.changed()

    def _take(self, event: PlanEvent) -> None:
        if event.step is not None and isinstance(event.state, StepState):
            self._steps[event.step] = event.state
            if event.gate is not None:
                self._gates.setdefault(event.step, {})[event.gate.level] = event.gate
            elif event.text and event.text != self.plan.steps[event.step].command:
                texts = self._texts.setdefault(event.step, [])
                if event.text not in texts:
                    texts.append(event.text)
        self.changed()

    @property
    def good(self) -> bool:
        return self.ended and self.error is None and self.state is PlanState.DONE

    def summary(self) -> str:
        """One sentence: how it went."""
        what = f"{self.plan.verb} {self.plan.selector}"
        if not self.ended:
            return f"{what} is running"
        if self.error is not None:
            return str(self.error)
        return f"{what}: done" if self.good else f"{what}: {self.state}"

    def facts(self) -> Iterator[Fact]:
        """Steps, gates and evidence as they stand."""
        for number, step in enumerate(self.plan.steps):
            yield from self._step_facts(number, step)
        if self.ended:
            role = Role.UP if self.good else Role.DOWN
            yield Fact("", "")
            yield Fact("result", self.summary(), role, "● " if self.good else "✗ ")

    def _step_facts(self, number: int, step: Step) -> Iterator[Fact]:
        state = self._steps.get(number, StepState.PENDING)
        glyph, role = _LOOK.get(state, ("◐", Role.DEGRADED))
        words = f"{step.verb} {step.unit} on {step.host}: {_WORDS[state]}"
        yield Fact(f"step {number + 1}", words, role, f"{glyph} ")
        yield Fact("", step.command, Role.DIM)
        for text in self._texts.get(number, ())[-4:]:
            yield Fact("", told(text), Role.TEXT)
        results = self._gates.get(number, {})
        for gate in step.gates:
            result = results.get(gate.level)
            if result is None:
                yield Fact(f"  gate {gate.level}", gate.text, Role.DIM, "○ ")
            else:
                mark, ink = ("● ", Role.UP) if result.passed else ("✗ ", Role.DOWN)
                took = f" ({result.milliseconds:.0f} ms)"
                yield Fact(f"  gate {gate.level}", f"{gate.text}: {told(result.evidence)}{took}", ink, mark)
