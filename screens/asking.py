"""Asking: one inspection at a time, which can be left; what it found stays until the next is through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App

from edxconsole.errors import EdxconsoleError
from screens.bridge import Bridge

if TYPE_CHECKING:
    from textual.worker import Worker

    from edxconsole.inspect.model import Inspection

_BROKEN = "The inspection was broken off by a fault of the console; its log file has the details."


class Asking:
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
        self.found: Inspection | None = None
        self.error = ""
        """why the last inspection came to nothing, a sentence"""
        self.began: float | None = None
        """when the one that runs was begun (monotonic); None when none runs"""
        self._worker: Worker[None] | None = None

    def ask(self, host: str, component: str) -> bool:
        """Begin an inspection. False, and nothing happens, while one runs."""
        if self.began is not None:
            return False
        self.began, self.error = self._bridge.clock.monotonic(), ""
        # A coroutine would be left over when it is stopped before it began.
        work = partial(self._inspect, host, component)
        self._worker = self._app.run_worker(work, group="inspect", exclusive=True, exit_on_error=False)
        return True

    def stop(self) -> None:
        """Leave the inspection that runs: its work on the host ends as well."""
        worker, self._worker = self._worker, None
        self.began = None
        if worker is not None:
            worker.cancel()

    def forget(self) -> None:
        """Stop, and know nothing any more."""
        self.stop()
        self.found, self.error = None, ""

    async def _inspect(self, host: str, component: str) -> None:
        mine, found, error = self._worker, None, _BROKEN
        try:
            found, error = await self._bridge.ask(self._bridge.engine.inspect(host, component)), ""
        except EdxconsoleError as failed:
            error = str(failed)
        finally:
            # One that was left has nothing to say any more: another may run by now.
            if mine is self._worker:
                self.began, self.error, self._worker = None, error, None
                self.found = found or self.found
                self._changed()
