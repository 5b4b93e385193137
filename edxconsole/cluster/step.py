"""Probes in step: those of several hosts sample at the same moment.

To take in what comes together costs half as much as one frame now and one then, as our caches stay
warm, and what changed on several hosts becomes one publication.
"""

from __future__ import annotations

TOGETHER = 16
"""hosts whose probes sample at the same moment: a few milliseconds of work"""
OUT_OF_STEP = 0.1
"""seconds by which a beat may be off its moment"""
APART = 0.3
"""least seconds between a sample and the next one, for rates to mean anything"""


def phase(index: int, count: int) -> float:
    """When in each second of our monotonic clock the samples of host `index` of `count` shall arrive."""
    return index // TOGETHER * TOGETHER / count


def until_step(phase: float, *, beaten: float, now: float, journey: float) -> float | None:
    """Seconds to wait before the probe is told to sample now, and then each second; None: it is in step.

    Args:
        beaten: when its last beat arrived.
        journey: seconds that a word takes to the host.
    """
    if abs((beaten - phase + 0.5) % 1.0 - 0.5) <= OUT_OF_STEP:
        return None
    return APART + (phase - journey - APART - now) % 1.0
