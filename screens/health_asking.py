"""HealthAsking: the health checks of one component on all its hosts, each asked apart from all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App

from edxconsole.errors import EdxconsoleError
from edxconsole.health.asked import question
from screens.bridge import Bridge
from widgets.health_rows import CheckLine

if TYPE_CHECKING:
    from textual.worker import Worker

_BROKEN = "it was broken off by a fault of the console; its log file has the details"


class HealthAsking:
    """Owned by a screen; all methods in the screen's loop.

    Args:
        app: runs the work, and says and logs what goes wrong in it.
        bridge: the engine.
        changed: called when there is something else to show.
    """

    def __init__(self, app: App[object], bridge: Bridge, changed: Callable[[], None]) -> None:
        self._app = app
        self._bridge = bridge
        self._changed = changed
        self.component = ""
        self.lines: dict[str, CheckLine] = {}
        """by CheckLine.key, host by host"""
        self.asked_at: float | None = None
        """monotonic s when the cheap ones were last begun and not left; None: they are to be asked"""
        self._workers: dict[str, Worker[None]] = {}

    @property
    def running(self) -> int:
        """How many are being asked."""
        return len(self._workers)

    def ask(self, component: str) -> None:
        """List the checks as they are now and ask those that cost nothing; answers of before stay until then.

        A check that is still being asked is not asked twice.
        """
        if component != self.component:
            self.forget()
        self.component, self.asked_at = component, self._bridge.clock.monotonic()
        self.lines = {line.key: line for line in self._listed(component)}
        for key in [k for k in self._workers if k not in self.lines]:
            self._workers.pop(key).cancel()
        self._begin(line for line in self.lines.values() if not line.costly)

    def ask_missed(self) -> None:
        """Ask what could not be asked when the others were, as its host was away, and can be now."""
        if self.asked_at is not None:
            self._begin(x for x in self.lines.values() if not (x.costly or x.asked or x.failed))

    def ask_costly(self, keys: Iterable[str]) -> int:
        """Ask those of these checks that cost; how many of them there are."""
        wanted = [self.lines[key] for key in keys if key in self.lines and self.lines[key].costly]
        if wanted:
            self._begin(wanted)
            self._changed()
        return len(wanted)

    def stop(self) -> None:
        """Leave what is being asked: its work on the hosts ends as well."""
        workers, self._workers = self._workers, {}
        for key, worker in workers.items():
            worker.cancel()
            self.lines[key] = replace(self.lines[key], began=None)
        if workers:
            self.asked_at = None

    def forget(self) -> None:
        """Stop, and know nothing any more."""
        self.stop()
        self.lines, self.asked_at = {}, None

    def _listed(self, component: str) -> Iterable[CheckLine]:
        engine = self._bridge.engine
        for host in engine.snapshot.hosts.values():
            if all(instance.component != component for instance in host.instances):
                continue
            for check in engine.health_checks(host.name, component):
                asks = question(host, component, check, self._bridge.inventory.sites)
                fresh = CheckLine(host.name, check, asks)
                known = self.lines.get(fresh.key)
                if known is None:
                    yield fresh
                else:
                    yield replace(fresh, asked=known.asked, began=known.began, failed=known.failed)

    def _begin(self, lines: Iterable[CheckLine]) -> None:
        hosts = self._bridge.engine.snapshot.hosts
        for line in list(lines):
            if line.key in self._workers or not hosts[line.host].trusted:
                continue
            self.lines[line.key] = replace(line, began=self._bridge.clock.monotonic())
            # A coroutine would be left over when it is stopped before it began.
            work = partial(self._ask, line)
            worker: Worker[None] = self._app.run_worker(work, group="health", exit_on_error=False)
            self._workers[line.key] = worker

    async def _ask(self, line: CheckLine) -> None:
        mine, asked, failed = self._workers.get(line.key), None, _BROKEN
        try:
            work = self._bridge.engine.ask_check(line.host, self.component, line.check)
            asked, failed = await self._bridge.ask(work), ""
        except EdxconsoleError as error:
            failed = str(error)
        finally:
            # One that was left has nothing to say any more: it may be asked again by now.
            if mine is not None and self._workers.get(line.key) is mine:
                del self._workers[line.key]
                known = self.lines[line.key]
                self.lines[line.key] = replace(known, asked=asked or known.asked, began=None, failed=failed)
                self._changed()
