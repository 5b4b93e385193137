"""Numbers that only move when an operator could see the difference, so that quiet hosts are quiet."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from edxconsole.cluster.levels import (
    CPU_LEVELS,
    DISK_CRITICAL,
    DISK_FULL,
    DISK_GRADES,
    LOAD_LEVELS,
    MEMORY_LEVELS,
)
from edxconsole.cluster.model import HostVitals
from edxconsole.probe.frames import Disk

REST = 10.0
"""seconds for which a shown number stays while what is measured wanders about it: for all hosts the
same ten, so that one frame shows what moved on any of them"""

DISK_LEVELS = tuple(sorted((*DISK_GRADES, DISK_FULL, DISK_CRITICAL)))
"""shares in use from which screens warn and problems begin"""


def steady(shown: float, measured: float, *, absolute: float, relative: float = 0.0) -> float:
    """`shown` while `measured` is within the tolerance of it, else `measured`."""
    return shown if abs(measured - shown) < max(absolute, relative * abs(shown)) else measured


def steady_int(shown: int, measured: int, *, absolute: int, relative: float = 0.0) -> int:
    """As `steady`, for KiB and counts."""
    return shown if abs(measured - shown) < max(absolute, int(relative * abs(shown))) else measured


def cpu_percent(shown: float, measured: float) -> float:
    """Per cent of one core: below 2 % is shown as 0, above it in whole per cents, without jitter."""
    if measured < 2.0:
        return 0.0
    return shown if shown and abs(measured - shown) < max(1.0, 0.05 * shown) else float(round(measured))


class Move(IntEnum):
    """What became of the shown vitals."""

    NONE = 0
    DRIFT = 1
    """they follow what was measured; nothing that must be seen at once"""
    RISE = 2
    """something came to a level at which an operator is warned"""


@dataclass(frozen=True, slots=True)
class _Apart:
    """How far a measured number must be from the shown one: absolute for CPU, also a share of what
    is shown for CPU and load, shares of the total for the others."""

    cpu: float
    load: float
    share: float
    memory: float
    swap: float
    disk: float

    def reached(self, shown: HostVitals, new: HostVitals) -> bool:
        """Whether any number is so far from the shown one."""
        loads = zip(shown.load, new.load, strict=True)
        return (
            abs(new.cpu - shown.cpu) >= max(self.cpu, self.share * shown.cpu)
            or any(abs(n - s) >= max(self.load, self.share * s) for s, n in loads)
            or _differ(shown.mem_available, new.mem_available, self.memory * new.mem_total)
            or _differ(shown.swap_free, new.swap_free, self.swap * new.swap_total)
            or _disks_differ(shown.disks, new.disks, self.disk)
        )


_NEAR = _Apart(cpu=0.05, load=0.1, share=0.1, memory=0.005, swap=0.01, disk=0.002)
"""less than this is noise"""
_FAR = _Apart(cpu=0.25, load=0.5, share=0.3, memory=0.05, swap=0.05, disk=0.01)
"""this is not a wandering any more and does not wait for the rest to be over"""


class CalmVitals:
    """The vitals of one host as they are shown.

    A measured number is shown when it is no noise: at once when it comes to a warning level or is far
    from what is shown, else when the ten seconds in which something was shown are over.
    """

    def __init__(self) -> None:
        self.shown: HostVitals | None = None
        self._turn = 0

    def take(self, new: HostVitals, now: float) -> Move:
        """Take in what was measured at monotonic `now`."""
        shown, turn = self.shown, int(now // REST)
        if shown is None or _other_machine(shown, new):
            move = Move.RISE
        else:
            move = self._move(shown, new, rested=turn != self._turn)
        if move:
            self.shown, self._turn = new, turn
        return move

    def _move(self, shown: HostVitals, new: HostVitals, *, rested: bool) -> Move:
        if _rises(shown, new):
            return Move.RISE
        # One busy second is no news on a host whose CPU comes and goes all the time.
        if bisect_right(CPU_LEVELS, new.cpu) > bisect_right(CPU_LEVELS, shown.cpu):
            return Move.RISE if rested else Move.DRIFT
        if not _NEAR.reached(shown, new):
            return Move.NONE
        return Move.DRIFT if rested or _FAR.reached(shown, new) else Move.NONE


def _differ(shown: int, new: int, apart: float) -> bool:
    return abs(new - shown) >= max(1.0, apart)


def _disks_differ(shown: tuple[Disk, ...], new: tuple[Disk, ...], apart: float) -> bool:
    return shown is not new and any(
        _differ(s.free, n.free, apart * n.total) or _differ(s.inodes_free, n.inodes_free, apart * n.inodes)
        for s, n in zip(shown, new, strict=True)
    )


def _other_machine(shown: HostVitals, new: HostVitals) -> bool:
    """Whether there is another amount of something, which no calm may hide."""
    if (shown.mem_total, shown.swap_total, shown.cores) != (new.mem_total, new.swap_total, new.cores):
        return True
    return shown.disks is not new.disks and _places(shown.disks) != _places(new.disks)


def _places(disks: tuple[Disk, ...]) -> list[tuple[str, str, int, int]]:
    return [(d.mount, d.device, d.total, d.inodes) for d in disks]


def _rises(shown: HostVitals, new: HostVitals) -> bool:
    """Whether load, memory or a disk came to a higher level."""
    return any(n > s for s, n in zip(_levels(shown), _levels(new), strict=True))


def _levels(vitals: HostVitals) -> Iterator[int]:
    """How many of its levels each number has reached."""
    yield bisect_right(LOAD_LEVELS, vitals.load[0] / max(1, vitals.cores))
    yield bisect_right(MEMORY_LEVELS, _used(vitals.mem_available, vitals.mem_total))
    for disk in vitals.disks:
        yield bisect_right(DISK_LEVELS, _used(disk.free, disk.total))
        yield bisect_right(DISK_LEVELS, _used(disk.inodes_free, disk.inodes))


def _used(free: int, total: int) -> float:
    return 1 - free / total if total > 0 else 0.0
