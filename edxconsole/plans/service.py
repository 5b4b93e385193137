"""Plans as the engine offers them: arm, draft, run. One per engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edxconsole.cluster.units import Unit
from edxconsole.inventory.selectors import parse_selector
from edxconsole.plans.arming import Arming
from edxconsole.plans.interlock import Interlock
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import Plan, PlanEvent, PlanState
from edxconsole.plans.planner import build_plan
from edxconsole.plans.port import EnginePort
from edxconsole.plans.runner import Pace, Runner
from edxconsole.plans.targets import Target, select_targets
from edxconsole.services.base import Verb


class PlanService:
    """The way from a wish to a changed host.

    Args:
        port: the engine.
        journal: directory of the journal.
        read_only: never allow arming.
        pace: how gates are tried.
    """

    def __init__(
        self, port: EnginePort, journal: Path, *, read_only: bool = False, pace: Pace | None = None
    ) -> None:
        self._port = port
        self._pace = pace or Pace()
        self._running = asyncio.Lock()
        self.arming = Arming(locked=read_only)
        self.journal = Journal(journal)
        self._interlock = Interlock(port, self.arming, self.journal)

    async def draft(self, verb: Verb, selector: str, *, reason: str = "") -> Plan:
        """See Engine.draft: the plan, with every target's identity read from its manager now."""
        snapshot = self._port.snapshot
        targets = select_targets(
            self._port.inventory, self._port.catalog, snapshot, parse_selector(selector), verb
        )
        fresh = [replace(t, unit=await self._observe(t)) for t in targets]
        return build_plan(
            cluster=self._port.inventory.cluster,
            environment=self._port.inventory.environment.value,
            catalog=self._port.catalog,
            hosts=dict(snapshot.hosts),
            targets=fresh,
            verb=verb,
            selector=selector,
            command=self._command,
            reason=reason,
        )

    async def run(self, plan: Plan, *, confirmation: str, on_event: Callable[[PlanEvent], None]) -> PlanState:
        """See Engine.run_plan. One plan at a time."""
        async with self._running:
            runner = Runner(self._port, self._interlock, self.journal, plan, on_event, self._pace)
            return await runner.run(confirmation)

    async def _observe(self, target: Target) -> Unit:
        return await self._port.manager(target.host, target.unit.manager).observe(target.unit.name)

    def _command(self, host: str, unit: Unit, verb: Verb) -> str:
        return self._port.manager(host, unit.manager).command(unit.name, verb)
