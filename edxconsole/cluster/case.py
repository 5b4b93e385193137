"""One component on one host while it is judged: everything observed of it, and the opinions so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edxconsole.catalog.model import Component
from edxconsole.cluster.listening import on_spec
from edxconsole.cluster.model import Age, Evidence, Listener, Process, State
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth

YOUNG = 20.0
"""seconds after a start in which a failing check means starting, not down"""
INIT = frozenset({"systemd", "sysv"})
IDLE = frozenset({UnitHealth.STOPPED, UnitHealth.EXITED, UnitHealth.UNKNOWN})
_AGE_OF = {"process": "processes", "listener": "listeners"}


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything observed on one host that instances are computed from. Times: console clock."""

    host: str
    now: float
    cores: int
    processes: Mapping[int, Process]
    by_component: Mapping[str, tuple[Process, ...]]
    units: Mapping[str, tuple[Unit, ...]]
    """component id -> its units"""
    listeners: tuple[Listener, ...]
    health: Mapping[tuple[str, str], Evidence]
    """(component, check) -> newest answer"""
    restarts: Mapping[str, tuple[float, ...]]
    """"manager/name" -> times of recent restarts"""
    ages: Mapping[str, Age]
    expected: frozenset[str]
    remembered: frozenset[str]
    """components seen running here before"""
    skew: float = 0.0
    unread: bool = False
    """a supervisord runs whose programs can't be seen"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One opinion on an instance; the worst wins, the earlier among equals."""

    state: State
    reason: str
    evidence: Evidence


@dataclass(slots=True)
class Case:
    """One component on one host while it is being judged."""

    seen: Observed
    component: Component
    units: tuple[Unit, ...]
    processes: tuple[Process, ...]
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def contained(self) -> bool:
        """Whether it runs in containers only: its ports are not the host's then."""
        return not self.processes and bool(self.units) and all(u.kind == CONTAINERS for u in self.units)

    def say(
        self, source: str, state: State, reason: str, age: Age | None = None, every: float | None = None
    ) -> None:
        when = age or self.seen.ages.get(_AGE_OF.get(source, source)) or Age(self.seen.now, 0.0)
        self.verdicts.append(Verdict(state, reason, Evidence(source, reason, state, when, every)))


def overruled(case: Case, unit: Unit) -> bool:
    """An init system that does not know of processes which plainly run (started by hand, by
    another manager, or its script can't tell) says nothing about them."""
    weak = unit.health in IDLE or (unit.kind == "sysv" and unit.health is UnitHealth.FAILED)
    return unit.kind in INIT and weak and bool(case.processes)


def is_young(case: Case) -> bool:
    """Whether a unit of it started so recently that it may still be coming up."""
    limit = case.seen.now - YOUNG
    units = (u for u in case.units if u.health is UnitHealth.RUNNING and u.since is not None)
    return any((u.since or 0.0) - case.seen.skew > limit for u in units)


def ports_of(case: Case) -> tuple[int, ...]:
    """Those of the host on which it listens."""
    if case.contained:
        return ()
    ports = {s.port for spec in case.component.listeners for s in on_spec(spec, case.seen.listeners)}
    ports |= {s.port for s in case.seen.listeners if s.component == case.component.id}
    return tuple(sorted(p for p in ports if p))
