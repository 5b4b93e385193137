"""The way from a wish to a change on screen: choose, read the plan, confirm, watch.

Every refusal is one sentence. The engine's interlock decides again, whatever was pressed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App

from edxconsole.errors import EdxconsoleError
from edxconsole.services.base import Capabilities
from screens.actions import ActionModal
from screens.bridge import Bridge
from screens.confirm import ConfirmModal
from screens.place import Target
from screens.plan_run import PlanRun
from screens.progress import ProgressModal


class Acting:
    """One per app. `act` must run in a worker, as it waits for modals.

    Args:
        app: where modals open.
        bridge: the engine.
        minutes: how long arming lasts.
    """

    def __init__(self, app: App[Any], bridge: Bridge, minutes: float) -> None:
        self._app = app
        self._bridge = bridge
        self._minutes = minutes
        self.running: list[PlanRun] = []

    async def act(self, target: Target, start: Callable[[PlanRun], object]) -> None:
        """From the verb to the confirmed run, which `start` runs in a worker of its own."""
        known = self._bridge.component(target.component)
        able = await self._capabilities(target)
        verb = await self._app.push_screen_wait(ActionModal(target, known, able, self._bridge.is_armed))
        if verb is None:
            return
        plan = await self._bridge.ask(self._bridge.engine.draft(verb, target.selector))
        confirmed = await self._app.push_screen_wait(ConfirmModal(self._bridge, plan, self._minutes))
        if confirmed is None:
            self._app.notify("Nothing was changed.", markup=False)
            return
        run = PlanRun(self._bridge, confirmed)
        start(run)
        await self._app.push_screen_wait(ProgressModal(run))

    async def run(self, run: PlanRun) -> None:
        """Run to the end and say how it went."""
        self.running.append(run)
        try:
            await run.run()
        finally:
            self.running.remove(run)
        self._app.notify(
            run.summary(), severity="information" if run.good else "error", timeout=10, markup=False
        )

    async def _capabilities(self, target: Target) -> list[Capabilities]:
        """Of the managers that hold this target, for its unit; nothing when they can't be asked now."""
        host = self._bridge.cluster.hosts.get(target.host)
        if host is None:
            return []
        wanted = {
            unit.manager: unit.name
            for key, unit in host.units.items()
            if unit.name == target.unit
            or (
                not target.unit
                and any(key in i.units for i in host.instances if i.component == target.component)
            )
        }
        try:
            able = await self._bridge.ask(self._bridge.engine.capabilities(target.host))
        except EdxconsoleError:
            return []
        return [able[manager].of_unit(name) for manager, name in wanted.items() if manager in able]
