"""Which units came up anew, and when: a crash loop shows as RUNNING in every single poll."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

WINDOW = 60.0
"""seconds looked back"""
LOOP = 3
"""restarts within the window that make a crash loop"""


class RestartLog:
    """Start stamps of units, as seen one after the other. Times are epoch s, console clock."""

    def __init__(self) -> None:
        self._last: dict[str, object] = {}
        self._times: dict[str, deque[float]] = {}

    def seen(self, unit: str, run: object | None, at: float) -> None:
        """`run` tells one run from the next (pid and start); None while it is not running."""
        if run is None:
            return
        before = self._last.get(unit)
        self._last[unit] = run
        if before is not None and before != run:
            self._times.setdefault(unit, deque(maxlen=50)).append(at)

    def recent(self, now: float) -> Mapping[str, tuple[float, ...]]:
        """Unit -> times of its restarts within the window. Forgets older ones."""
        for unit in list(self._times):
            times = self._times[unit]
            while times and times[0] < now - WINDOW:
                times.popleft()
            if not times:
                del self._times[unit]
        return {unit: tuple(times) for unit, times in self._times.items()}

    def looping(self, now: float) -> frozenset[str]:
        """Units with LOOP restarts or more within the window."""
        return frozenset(unit for unit, times in self.recent(now).items() if len(times) >= LOOP)

    @property
    def pending(self) -> bool:
        """Whether what `recent` answers will change by the passing of time alone."""
        return bool(self._times)
