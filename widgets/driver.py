"""A terminal driver that says how far behind the terminal is, and a gate that waits for it.

Textual's writer thread has a queue of 30; a full queue blocks the event loop (textual.md section
2.5: 3.5 s for a terminal stopped by Ctrl-S). While more than a frame is unwritten nothing more is
drawn, so that a slow or stopped terminal never stops the console.
"""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

MOST_PENDING = 3
"""writes of one frame: begin, cells, end of a synchronized update"""
_LOOK = 0.01


class PatientDriver(LinuxDriver):
    """LinuxDriver with one more fact: writes the terminal has not taken yet."""

    @property
    def pending_writes(self) -> int:
        writer = self._writer_thread
        return 0 if writer is None else writer._queue.qsize()


def pending_writes(app: App[Any]) -> int:
    """Writes not taken yet; 0 for drivers that don't say (headless, web)."""
    return app._driver.pending_writes if isinstance(app._driver, PatientDriver) else 0


class CongestionGate:
    """Holds back all repaints while the terminal is behind. Call `check` after each frame."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        return self._task is not None and not self._task.done()

    def check(self) -> None:
        if not self.closed and pending_writes(self._app) > MOST_PENDING:
            self._task = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        with self._app.batch_update():
            while pending_writes(self._app):  # noqa: ASYNC110  the writer has nothing to wait on
                await asyncio.sleep(_LOOK)
        # Textual tells the app, not the screen, that the batch is over: what waits would wait on.
        if self._app._screen_stack:
            self._app.screen.check_idle()
