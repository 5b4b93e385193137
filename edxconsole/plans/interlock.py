"""The interlock: the one place from which a host is changed.

It alone makes Permits and calls what takes one; `tests/unit/plans/test_interlock_is_the_only_way.py`
walks the code to prove it. In this order: armed? confirmed for exactly this plan? still the process
that was confirmed? journal written? Only then the act, and the journal again whatever came of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from edxconsole.errors import EdxconsoleError, IdentityDrift, NotConfirmed
from edxconsole.plans.arming import Arming
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import Plan, Step
from edxconsole.plans.port import EnginePort
from edxconsole.plans.syslog import tell_syslog
from edxconsole.services.base import ActOutcome, Permit
from edxconsole.services.guard import same_run
from edxconsole.services.hup import hup_master

ANY_RUN_FOR = 120.0
"""seconds after its draft in which a plan may be meant for whatever run a unit is in"""


class Interlock:
    """Guards every act of one engine."""

    def __init__(self, port: EnginePort, arming: Arming, journal: Journal) -> None:
        self._port = port
        self._arming = arming
        self._journal = journal

    async def act(self, plan: Plan, index: int, *, confirmation: str) -> ActOutcome:
        """Do step `index` of a confirmed plan.

        Raises ReadOnly, NotConfirmed, IdentityDrift, JournalError before anything was changed;
        ActFailed, ServiceError or TransportError from the act itself.
        """
        step = plan.steps[index]
        self._arming.require()
        if confirmation != plan.digest:
            raise NotConfirmed("the plan that was confirmed is not this one", remedy="confirm it again")
        any_run = step.any_run and time.time() - plan.created <= ANY_RUN_FOR
        await self._recheck_identity(step, any_run)
        record = {"host": step.host, "unit": f"{step.manager}/{step.unit}", "verb": step.verb.value}
        await self._begin(plan, step, record)
        told = await self._tell_syslog(plan, step, record)
        phases = _Phases(lambda text: self._end(plan, "act.phase", record, phase=text))
        try:
            try:
                outcome = await self._perform(plan, step, any_run, phases)
            finally:
                await phases.written()
        except EdxconsoleError as error:
            await asyncio.to_thread(self._end, plan, "act.failed", record, why=str(error), syslog=told)
            raise
        except BaseException as error:
            why = f"the console stopped waiting ({type(error).__name__})"
            await asyncio.to_thread(self._end, plan, "act.unknown", record, why=why, syslog=told)
            raise
        await asyncio.to_thread(
            self._end, plan, "act.end", record, detail=outcome.detail, already=outcome.already, syslog=told
        )
        return outcome

    async def _tell_syslog(self, plan: Plan, step: Step, record: dict[str, Any]) -> str:
        """See tell_syslog. Given up here, the journal says that nothing was done after its begin."""
        try:
            return await tell_syslog(self._port.transport(step.host), plan, step)
        except BaseException as error:
            why = f"given up before anything was changed ({type(error).__name__})"
            await asyncio.to_thread(self._end, plan, "act.failed", record, why=why)
            raise

    async def _recheck_identity(self, step: Step, any_run: bool) -> None:
        unit = await self._port.manager(step.host, step.manager).observe(step.unit)
        if not any_run and not same_run(step.before, unit.identity):
            raise IdentityDrift(
                f"{step.unit} is no longer what was confirmed: was {step.before}, is {unit.identity}",
                host=step.host,
                remedy="look again and make a new plan",
            )

    async def _perform(self, plan: Plan, step: Step, any_run: bool, phases: _Phases) -> ActOutcome:
        permit = Permit(plan.id, step.host, step.unit, step.verb, step.before, any_run)
        if step.method == "hup-master":
            return await self._hup(step, permit)
        manager = self._port.manager(step.host, step.manager)
        return await manager.act(
            step.unit, step.verb, permit=permit, deadline=step.deadline, on_phase=phases.heard
        )

    async def _hup(self, step: Step, permit: Permit) -> ActOutcome:
        component = self._port.catalog.get(step.component)
        snapshot = self._port.snapshot.hosts[step.host]
        master = snapshot.processes.get(step.master.pid or -1)
        if master is None or master.identity != step.master:
            raise IdentityDrift(
                f"the master of {step.unit} is no longer {step.master}", host=step.host, remedy="look again"
            )
        return await hup_master(
            self._port.transport(step.host),
            self._port.manager(step.host, step.manager),
            step.unit,
            master,
            (component.signature.master if component else None) or "",
            permit=permit,
            login=snapshot.user,
        )

    async def _begin(self, plan: Plan, step: Step, record: dict[str, Any]) -> None:
        """Journal that the act begins; given up meanwhile, also that nothing was done after it."""
        writing = asyncio.ensure_future(asyncio.to_thread(self._write_begin, plan, step, record))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await writing
            why = "given up before anything was changed (CancelledError)"
            await asyncio.to_thread(self._end, plan, "act.failed", record, why=why)
            raise

    def _write_begin(self, plan: Plan, step: Step, record: dict[str, Any]) -> None:
        self._journal.append(
            plan.id,
            "act.begin",
            **record,
            env=plan.environment,
            cmd=step.command,
            before=str(step.before),
            any_run=step.any_run,
            reason=plan.reason,
            plan_sha256=plan.digest,
        )

    def _end(self, plan: Plan, event: str, record: dict[str, Any], **fields: Any) -> None:
        self._journal.append(plan.id, event, **record, **fields)


class _Phases:
    """Journals the phases of an act in their order, without holding up the act for the disk."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: asyncio.Future[None] | None = None

    def heard(self, text: str) -> None:
        self._last = asyncio.ensure_future(self._after(self._last, text))

    async def written(self) -> None:
        """Until every phase heard so far is on disk. Raises JournalError."""
        if self._last is not None:
            await self._last

    async def _after(self, previous: asyncio.Future[None] | None, text: str) -> None:
        if previous is not None:
            await previous
        await asyncio.to_thread(self._write, text)
