"""Numbers that only move when an operator could see the difference, so that quiet hosts are quiet."""

from __future__ import annotations

from dataclasses import replace

from edxconsole.cluster.model import HostVitals
from edxconsole.probe.frames import Disk


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


def steady_vitals(shown: HostVitals | None, new: HostVitals) -> HostVitals:
    """The newest vitals, or `shown` itself when nothing moved that could be seen."""
    if shown is None or shown.mem_total != new.mem_total or shown.cores != new.cores:
        return new
    calm = replace(
        new,
        load=_load(shown.load, new.load),
        cpu=steady(shown.cpu, new.cpu, absolute=0.05, relative=0.1),
        mem_available=steady_int(
            shown.mem_available, new.mem_available, absolute=max(1, new.mem_total // 200)
        ),
        swap_free=steady_int(shown.swap_free, new.swap_free, absolute=max(1, new.swap_total // 100)),
        disks=_disks(shown.disks, new.disks),
    )
    return shown if calm == shown else calm


def _load(shown: tuple[float, float, float], new: tuple[float, float, float]) -> tuple[float, float, float]:
    one, five, fifteen = (steady(s, n, absolute=0.1, relative=0.05) for s, n in zip(shown, new, strict=True))
    return (one, five, fifteen)


def _disks(shown: tuple[Disk, ...], new: tuple[Disk, ...]) -> tuple[Disk, ...]:
    before = {d.mount: d for d in shown}
    return tuple(_disk(before.get(d.mount), d) for d in new)


def _disk(shown: Disk | None, new: Disk) -> Disk:
    if shown is None or (shown.device, shown.total, shown.inodes) != (new.device, new.total, new.inodes):
        return new
    free = steady_int(shown.free, new.free, absolute=max(1, new.total // 500))
    inodes = steady_int(shown.inodes_free, new.inodes_free, absolute=max(1, new.inodes // 500))
    return (
        shown
        if (free, inodes) == (shown.free, shown.inodes_free)
        else replace(new, free=free, inodes_free=inodes)
    )
