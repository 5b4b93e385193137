"""Where screens take the time from, so that a test can stop it."""

from __future__ import annotations

import time


class Clock:
    """The console's two clocks: the wall for people, monotonic for ages."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never jump; compares with Age.seen and Engine.armed_until."""
        return time.monotonic()
