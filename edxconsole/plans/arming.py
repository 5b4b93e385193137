"""Arming: the console is read-only until the operator says otherwise, and again when time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edxconsole.errors import ReadOnly


def locked() -> ReadOnly:
    """The refusal of a console or command that was started with --read-only."""
    return ReadOnly(
        "edxconsole was started read-only and can't be armed", remedy="start it without --read-only"
    )


class Arming:
    """Whether acts are allowed right now. Safe to read from any thread.

    Args:
        locked: never allow arming (`--read-only`).
        clock: monotonic seconds.
    """

    def __init__(self, *, locked: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._locked = locked
        self._guard = threading.Lock()
        self._until: float | None = None

    @property
    def until(self) -> float | None:
        """monotonic() when arming ends; None when read-only."""
        with self._guard:
            if self._until is not None and self._clock() >= self._until:
                self._until = None
            return self._until

    def arm(self, seconds: float) -> None:
        """Allow acts for so many seconds. Raises ReadOnly when locked."""
        if self._locked:
            raise locked()
        if seconds <= 0:
            raise ValueError("arming needs a positive number of seconds")
        with self._guard:
            self._until = self._clock() + seconds

    def disarm(self) -> None:
        with self._guard:
            self._until = None

    def require(self) -> None:
        """Raise ReadOnly unless armed right now."""
        if self.until is None:
            raise ReadOnly(
                "the console is read-only", remedy="arm it first (key w, or --yes on the command line)"
            )
