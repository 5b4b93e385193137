"""A terminal driver that says how far behind the terminal is, and a gate that waits for it.

Textual's writer thread has a queue of 30; a full queue blocks the event loop (textual.md section
2.5: 3.5 s for a terminal stopped by Ctrl-S). While more than a frame is unwritten nothing more is
drawn, so that a slow or stopped terminal never stops the console.
"""

from __future__ import annotations

import asyncio
import logging
from io import TextIOBase
from typing import IO, Any, cast

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

MOST_PENDING = 3
"""writes of one frame: begin, cells, end of a synchronized update"""
_LOOK = 0.01

log = logging.getLogger(__name__)


class Output(TextIOBase):
    """A terminal that may go away: from then on what is written to it is dropped, and the log says so once.

    Otherwise the thread that writes would end, its queue fill, and the end of the program wait for it.
    """

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal
        self._gone = False

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                return self._terminal.write(text)
            except (OSError, ValueError) as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self._terminal.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def fileno(self) -> int:
        return self._terminal.fileno()

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def _lose(self, error: Exception) -> None:
        self._gone = True
        log.warning("the terminal takes nothing any more: %s", error)


class PatientDriver(LinuxDriver):
    """LinuxDriver with one more fact: writes the terminal has not taken yet.

    A SIGCONT without Ctrl-Z before it (after `kill -STOP`, or as a terminal that hangs up sends it) has
    it leave the terminal and enter again; entered twice, it would take raw mode for what to give back.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._file = cast(Any, Output(cast(IO[str], self._file)))

    def _sigcont_application(self, *args: Any) -> None:
        if self._must_signal_resume:
            super()._sigcont_application(*args)
        else:
            self._loop.call_soon_threadsafe(self._enter_again)

    def _enter_again(self) -> None:
        if self._app.is_running and self._writer_thread is not None:
            self.suspend_application_mode()
            self.resume_application_mode()
            self._app.refresh(layout=True)

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
