"""What watching a host costs it: the probe's own CPU time and memory, from its beats."""

from __future__ import annotations

from collections import deque

from edxconsole.cluster.calm import steady
from edxconsole.cluster.model import Cost
from edxconsole.probe.frames import Beat

EVERY, LOOKS = 5.0, 7
"""seconds between two looks at the CPU time used, and how many of them it is averaged over"""
RSS_MATTERS = 512
"""KiB"""


class ProbeCost:
    """The cost of one probe as it is shown; None until there were two looks."""

    def __init__(self) -> None:
        self.shown: Cost | None = None
        self._looks: deque[tuple[float, float]] = deque(maxlen=LOOKS)

    def take(self, beat: Beat, seen: float) -> bool:
        """Take in a beat that came at monotonic `seen`; True when something else is shown."""
        looks, shown = self._looks, self.shown
        if looks and seen - looks[-1][0] < EVERY:
            return False
        looks.append((seen, beat.cpu_ms))
        if len(looks) < 2:
            return False
        first, used = looks[0]
        percent = max(0.0, (beat.cpu_ms - used) / (seen - first) / 10)
        calm = steady(shown.cpu, percent, absolute=0.1, relative=0.25) if shown else percent
        rss = shown.rss if shown and abs(beat.rss - shown.rss) <= RSS_MATTERS else beat.rss
        self.shown = Cost(round(calm, 2), rss)
        return self.shown != shown
