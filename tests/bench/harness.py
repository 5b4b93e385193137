"""Figures: rows of the table, medians and percentiles, and the loop that shows a slow machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

QUIET_SLACK = 1.3
"""a calibration loop this much slower than the quickest of the run means that others used the machine"""

_DIGITS = {"s": 2, "ms": 1, "%": 2, "MB": 1, "": 0}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: the promise, in a few words.
        value: what was measured, in `unit`; None when it could not be, and `note` says why.
        unit: s, ms, %, MB or "" for a count.
        most: the bound; None for a row that only informs.
        bound: the bound in words, where it is more than "at most `most`".
        against: what it was interleaved with, and its figure in the same unit.
        ratio: value / against, or its inverse where the promise is a fraction ("1/11").
        loop: the calibration loop's time while this was measured, ms.
    """

    what: str
    value: float | None
    unit: str
    most: float | None = None
    bound: str = ""
    against: str = ""
    ratio: str = ""
    note: str = ""
    loop: float = 0.0

    @property
    def verdict(self) -> str:
        """ok, MISSED, not measured, or "" for a row without a bound."""
        if self.value is None:
            return "not measured"
        if self.most is None:
            return ""
        return "ok" if self.value <= self.most else "MISSED"

    def words(self) -> tuple[str, ...]:
        """The cells of the table."""
        bound = self.bound or ("" if self.most is None else f"≤ {figure(self.most, self.unit)}")
        value = "-" if self.value is None else figure(self.value, self.unit)
        return (self.what, bound, value, self.against, self.ratio, f"{self.loop:.1f}", self.verdict)

    def timed(self, loop: float) -> Row:
        return replace(self, loop=loop)


HEAD = ("measure", "bound", "measured", "against", "ratio", "loop ms", "verdict")


def figure(value: float, unit: str) -> str:
    """ "1.23 s", "12.3 ms" """
    return f"{value:.{_DIGITS[unit]}f} {unit}".rstrip()


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed: nearest rank, so one that was really measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]


def spread(values: Sequence[float], unit: str) -> str:
    """ "median 12.1 ms, worst 40.2 ms of 20" """
    middle, worst = figure(median(values), unit), figure(max(values), unit)
    return f"median {middle}, worst {worst} of {len(values)}"


def calibrate(rounds: int = 5) -> float:
    """ms that a fixed pure-Python loop takes now: the median of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        total = 0
        for number in range(200_000):
            total += number * number & 0xFF
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
