"""What log panes and `edxconsole logs` are fed with. Pure data and one thread-safe buffer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogSource:
    """One file (or glob, already resolved) on one host, or the output of a container there."""

    host: str
    path: str
    """of a file; CONTAINER_LOG and the unit's name for a container"""
    component: str = ""
    name: str = ""
    """short name for gutters: "lms-stderr", "nginx access" """
    format: str = "plain"
    personal: bool = False


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Whole lines of one source, oldest first, each ending in a newline; or a mark.

    `at`: when the newest byte was read on the host, console clock (epoch s). `mark`: "", or one of
    start, rotated, truncated, gap, missing, denied, back, dropped, disconnected, resumed.
    `lost`: bytes (lines for "dropped") known to be lost. `why`: one sentence to a mark, where there is
    more to say. `times`: of each line, console clock, where the source tells them.
    """

    source: LogSource
    at: float
    data: str = ""
    mark: str = ""
    lost: int = 0
    why: str = ""
    times: tuple[float, ...] = ()


class LogFeed:
    """A bounded mailbox from the engine's thread to one reader. Overflow drops the oldest, counted.

    `wake` is called (from the engine's thread, at most once between two drains) when something
    arrived; it must only signal.
    """

    def __init__(self, *, budget: int = 8 << 20, wake: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._items: deque[LogBatch] = deque()
        self._bytes = 0
        self._budget = budget
        self._wake = wake
        self._woken = False
        self.dropped_lines = 0

    def put(self, batch: LogBatch) -> None:
        with self._lock:
            self._items.append(batch)
            self._bytes += len(batch.data)
            while self._bytes > self._budget and len(self._items) > 1:
                old = self._items.popleft()
                self._bytes -= len(old.data)
                self.dropped_lines += old.data.count("\n")
            wake = None if self._woken else self._wake
            self._woken = True
        if wake is not None:
            wake()

    def drain(self) -> list[LogBatch]:
        """Everything that arrived since the last drain, oldest first."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._bytes = 0
            self._woken = False
        return items
