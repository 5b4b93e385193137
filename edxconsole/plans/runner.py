"""Run a confirmed plan: step by step, halting at the first that does not come back healthy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import EdxconsoleError, GateFailed, PreflightFailed
from edxconsole.plans.gates import Acted, before_act, try_gates
from edxconsole.plans.interlock import Interlock
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import GateResult, Plan, PlanEvent, PlanState, Step, StepState
from edxconsole.plans.port import EnginePort

OnEvent = Callable[[PlanEvent], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How gates are tried: `passes` in a row, `spacing` seconds apart, retried every `retry` s."""

    passes: int = 3
    spacing: float = 1.0
    retry: float = 0.5


class Runner:
    """Runs one plan. Every event is also journaled, except the many tries of a gate."""

    def __init__(
        self,
        port: EnginePort,
        interlock: Interlock,
        journal: Journal,
        plan: Plan,
        on_event: OnEvent,
        pace: Pace,
    ) -> None:
        self._port = port
        self._interlock = interlock
        self._journal = journal
        self._plan = plan
        self._on_event = on_event
        self._pace = pace

    async def run(self, confirmation: str) -> PlanState:
        """DONE, or the error that halted it. Cancelling leaves a truthful end in the journal."""
        await self._note(None, PlanState.RUNNING, f"{len(self._plan.steps)} step(s)")
        for index, step in enumerate(self._plan.steps):
            try:
                await self._step(index, step, confirmation)
            except asyncio.CancelledError:
                self._emit(index, StepState.UNKNOWN, "the console stopped waiting for it")
                event = f"plan.{PlanState.ABORTED.value}"
                # Shielded: whoever cancels twice still finds the end in the journal.
                await asyncio.shield(
                    asyncio.to_thread(self._journal.append, self._plan.id, event, step=index)
                )
                raise
            except EdxconsoleError as error:
                await self._note(index, PlanState.HALTED, str(error))
                raise
        await self._note(None, PlanState.DONE, "all steps came back healthy")
        return PlanState.DONE

    async def _step(self, index: int, step: Step, confirmation: str) -> None:
        self._emit(index, StepState.PRECHECK, step.command)
        try:
            acted = await self._precheck(step)
        except EdxconsoleError as error:
            await self._note(index, StepState.PRECHECK_FAILED, str(error))
            raise
        self._emit(index, StepState.ACT, step.command)
        try:
            outcome = await self._interlock.act(self._plan, index, confirmation=confirmation)
        except EdxconsoleError as error:
            await self._note(index, StepState.ACT_FAILED, str(error))
            raise
        self._emit(index, StepState.SETTLE, outcome.detail)
        await self._gates(index, step, acted)

    async def _precheck(self, step: Step) -> Acted:
        host = self._port.snapshot.hosts[step.host]
        if not host.trusted:
            raise PreflightFailed(f"the host is {host.link.value} ({host.reason})", host=step.host)
        if step.preflight:
            await self._preflight(step)
        unit = await self._port.manager(step.host, step.manager).observe(step.unit)
        return before_act(host, step, unit, self._port.catalog.get(step.component))

    async def _preflight(self, step: Step) -> None:
        """A read-only check of the component's own, e.g. `nginx -t`; must exit 0."""
        become = "root" if self._port.inventory.hosts[step.host].become == "sudo" else None
        result = await self._port.transport(step.host).run(step.preflight, timeout=30.0, become=become)
        if not result.ok:
            said = (result.stderr or result.stdout).decode("utf-8", "replace").strip().splitlines()
            raise PreflightFailed(
                f"`{' '.join(step.preflight)}` failed: {said[0][:200] if said else result.exit_status}",
                host=step.host,
                remedy="nothing was changed; fix it first",
            )

    async def _gates(self, index: int, step: Step, acted: Acted) -> None:
        end = time.monotonic() + step.gate_deadline
        passes, settled = 0, Identity()
        while True:
            results, unit = await self._try(step, acted)
            failed = next((r for r in results if not r.passed), None)
            passes = 0 if failed or (passes and unit.identity != settled) else passes + 1
            settled = unit.identity
            for result in results:
                self._emit(index, StepState.GATE, f"{passes} of {self._pace.passes}", result, settled)
            if passes >= self._pace.passes:
                await self._note(index, StepState.OK, str(settled), results[-1] if results else None, settled)
                return
            if failed and time.monotonic() >= end:
                await self._note(index, StepState.GATE_FAILED, failed.evidence, failed, settled)
                raise GateFailed(
                    f"{step.unit} did not come back healthy in {step.gate_deadline:.0f} s: "
                    f"{failed.level} {failed.evidence}",
                    host=step.host,
                    remedy="read its log; nothing further was changed",
                )
            await asyncio.sleep(self._pace.retry if failed else self._pace.spacing)

    async def _try(self, step: Step, acted: Acted) -> tuple[list[GateResult], Unit]:
        """One round of gates. A host that can't be asked counts as failed, not as unknown."""
        try:
            return await try_gates(self._port, step, acted)
        except EdxconsoleError as error:
            unit = Unit(step.manager, step.unit, "not readable", UnitHealth.UNKNOWN)
            return [GateResult(step.gates[0].level, False, str(error), 0.0)], unit

    def _emit(
        self,
        index: int | None,
        state: PlanState | StepState,
        text: str,
        gate: GateResult | None = None,
        after: Identity | None = None,
    ) -> None:
        self._on_event(PlanEvent(self._plan.id, index, time.time(), state, text, gate, after or Identity()))

    async def _note(
        self,
        index: int | None,
        state: PlanState | StepState,
        text: str,
        gate: GateResult | None = None,
        after: Identity | None = None,
    ) -> None:
        """Emit an event and journal it."""
        self._emit(index, state, text, gate, after)
        step = None if index is None else self._plan.steps[index]
        await asyncio.to_thread(
            self._journal.append,
            self._plan.id,
            f"plan.{state.value}" if isinstance(state, PlanState) else f"step.{state.value}",
            step=index,
            host=step.host if step else None,
            unit=f"{step.manager}/{step.unit}" if step else None,
            text=text,
            gate=None if gate is None else {"level": gate.level, "ok": gate.passed, "saw": gate.evidence},
            after=str(after) if after else None,
        )
