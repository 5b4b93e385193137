"""How an access log of nginx answered lately: status codes of its last lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_LINE = re.compile(r'\[([^\[\]\s]{10,30} [+-]\d{4})\] {1,4}"[^"\n]{0,9000}" (\d{3}) ')


@dataclass(frozen=True, slots=True)
class StatusMix:
    """Counts by status code, and from when to when, as the log says it."""

    codes: Counter[int]
    first: str
    last: str
    unread: int
    """lines of another format"""

    @property
    def total(self) -> int:
        return sum(self.codes.values())

    def share(self, hundreds: int) -> float | None:
        """Percent of the answers in a class: 5 for 5xx. None of nothing."""
        if not self.total:
            return None
        return round(100 * sum(n for c, n in self.codes.items() if c // 100 == hundreds) / self.total, 2)


def read_mix(text: str) -> StatusMix:
    """The mix of these lines, in the formats `combined` and edX's `p_combined`."""
    codes: Counter[int] = Counter()
    stamps: list[str] = []
    unread = 0
    for line in text.splitlines():
        found = _LINE.search(line[:16384])
        if found is None:
            unread += 1
            continue
        codes[int(found[2])] += 1
        stamps.append(found[1])
    return StatusMix(codes, stamps[0] if stamps else "", stamps[-1] if stamps else "", unread)
