"""The process table of one host, kept from probe frames; numbers are calmed before they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from edxconsole.cluster.calm import cpu_percent, steady_int
from edxconsole.cluster.model import Process
from edxconsole.cluster.text import clean_line
from edxconsole.probe.frames import Processes, ProcessRow

COLD_AFTER = 1.6
"""seconds without a new sample after which a process counts as idle (the probe samples at 1 Hz)"""
MIN_SPAN = 0.5
"""seconds between two samples for a rate to mean anything at 10 ms clock ticks"""


@dataclass(slots=True)
class _Sample:
    """CPU ticks used, and the host's time at which they were read."""

    ticks: int
    at: float


class ProcessTable:
    """Applies Processes frames. `ticks` per second and `boot` (epoch s) are the host's, from Hello."""

    def __init__(self, *, ticks: int, boot: float) -> None:
        self._ticks = max(1, ticks)
        self._boot = boot
        self._shown: dict[int, Process] = {}
        self._samples: dict[int, _Sample] = {}
        self._warm: set[int] = set()
        self._users: dict[int, str] = {}
        self._last = 0.0
        self.complete = False
        """a full frame was seen"""

    def view(self) -> Mapping[int, Process]:
        """What there is now, immutable."""
        return MappingProxyType(dict(self._shown))

    def __len__(self) -> int:
        return len(self._shown)

    def users(self, names: Mapping[int, str]) -> bool:
        """Learn user names; True when a process got another name by it."""
        fresh = {uid: name for uid, name in names.items() if self._users.get(uid) != name}
        if not fresh:
            return False
        self._users.update(fresh)
        hit = [p for p in self._shown.values() if p.uid in fresh]
        for process in hit:
            self._shown[process.pid] = replace(process, user=self.user(process.uid))
        return bool(hit)

    def user(self, uid: int) -> str:
        """The user's name, or the number as text."""
        return self._users.get(uid) or str(uid)

    def shift(self, seconds: float) -> None:
        """Every start happened so much later on the console's clock than was thought."""
        for pid, process in self._shown.items():
            self._shown[pid] = replace(process, started_at=process.started_at + seconds)

    def apply(self, frame: Processes, *, skew: float) -> tuple[bool, bool]:
        """Take a frame in: (which processes there are changed, any number changed)."""
        before = set(self._shown) if frame.full else set()
        shape = bool(frame.new or frame.gone)
        if frame.full:
            self._forget(before - {row.pid for row in frame.new})
            self.complete = True
        self._forget(frame.gone)
        for row in frame.new:
            self._add(row, frame.t, skew)
        numbers = [self._change(pid, *values, now=frame.t) for pid, values in frame.changed.items()]
        cooled = self.cool(frame.t)
        self._last = frame.t
        return shape, any(numbers) or cooled

    def cool(self, now: float) -> bool:
        """Processes without a new sample used no CPU; True when one is shown differently by it."""
        cold = [pid for pid in self._warm if now - self._samples[pid].at >= COLD_AFTER]
        for pid in cold:
            self._warm.discard(pid)
            self._shown[pid] = replace(
                self._shown[pid], cpu=0.0, state=_calm_state(self._shown[pid].state, 0)
            )
        return bool(cold)

    def _add(self, row: ProcessRow, now: float, skew: float) -> None:
        started = self._boot + row.start / self._ticks
        self._samples[row.pid] = _Sample(row.cpu, now)
        self._warm.discard(row.pid)
        self._shown[row.pid] = Process(
            pid=row.pid,
            start=row.start,
            started_at=started - skew,
            ppid=row.ppid,
            uid=row.uid,
            user=self.user(row.uid),
            comm=clean_line(row.comm, 64),
            argv=tuple(clean_line(a, 2000) for a in row.argv),
            state=_calm_state(row.state, 0),
            cpu=0.0,
            rss=row.rss,
            threads=row.threads,
            contained=row.contained,
        )

    def _change(self, pid: int, state: str, cpu: int, rss: int, threads: int, *, now: float) -> bool:
        shown = self._shown.get(pid)
        if shown is None:
            return False
        percent = cpu_percent(shown.cpu, self._rate(pid, cpu, now, shown.cpu))
        if percent:
            self._warm.add(pid)
        new = replace(
            shown,
            state=_calm_state(state, percent),
            cpu=percent,
            rss=steady_int(shown.rss, rss, absolute=512, relative=0.02),
            threads=threads,
        )
        self._shown[pid] = new
        return new != shown

    def _rate(self, pid: int, cpu: int, now: float, shown: float) -> float:
        """Per cent of one core. An unchanged process is not sent, so a long silence was idle."""
        sample = self._samples[pid]
        span = now - sample.at
        if span < 0:
            self._samples[pid] = _Sample(cpu, now)
            return shown
        if span < MIN_SPAN:
            return shown
        self._samples[pid] = _Sample(cpu, now)
        period = min(span, max(1.0, now - self._last))
        return max(0, cpu - sample.ticks) / self._ticks / period * 100

    def _forget(self, pids: set[int] | tuple[int, ...]) -> None:
        for pid in pids:
            self._shown.pop(pid, None)
            self._samples.pop(pid, None)
            self._warm.discard(pid)


def _calm_state(state: str, percent: float) -> str:
    """A sampled R of an idle process is chance; R is kept for those that use CPU."""
    return "S" if state == "R" and not percent else state
