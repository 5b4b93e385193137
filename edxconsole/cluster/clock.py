"""How far a host's clock is from ours: echoes over the probe, the quickest of the last few wins.

Measured -0.01 ± 0.4 ms with best of 16 (services.md section 7.3). The error of one echo is at
most half its round trip, so the sample with the shortest round trip is the one to believe.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

KEEP = 16
"""samples remembered; at one echo each 10 s an old route is forgotten within three minutes"""
STEP = 0.05
"""seconds beyond both errors by which a new echo must differ for one of the clocks to have been set"""


@dataclass(frozen=True, slots=True)
class Offset:
    """Host clock minus console clock ± error, and the round trip, all in seconds."""

    skew: float
    error: float
    rtt: float


class HostClock:
    """The clock of one host over one connection."""

    def __init__(self) -> None:
        self._echoes: deque[Offset] = deque(maxlen=KEEP)
        self.offset: Offset | None = None
        """the best estimate, None before the first echo"""

    def add(self, *, rtt: float, skew: float) -> None:
        """One echo: its round trip, and host minus console clock as it tells them, in seconds."""
        echo = Offset(skew=skew, error=rtt / 2, rtt=rtt)
        known = self.offset
        if known is not None and abs(skew - known.skew) > echo.error + known.error + STEP:
            self._echoes.clear()
        self._echoes.append(echo)
        self.offset = min(self._echoes, key=lambda e: e.rtt)

    @property
    def count(self) -> int:
        return len(self._echoes)

    def to_console(self, host_time: float) -> float:
        """A host's epoch seconds on the console's clock; unchanged while the offset is unknown."""
        known = self.offset
        return host_time - known.skew if known else host_time
