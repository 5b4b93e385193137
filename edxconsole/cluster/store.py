"""What one connection learned of its host: mutable tables, from which immutable snapshots are built.

A store belongs to one connection. What must outlive it (restarts counted, components seen, since
when a state holds) is in History.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from types import MappingProxyType

from edxconsole.cluster.attribution import Attribution
from edxconsole.cluster.calm import CalmVitals, Move, steady
from edxconsole.cluster.case import Observed
from edxconsole.cluster.clock import HostClock
from edxconsole.cluster.cost import ProbeCost
from edxconsole.cluster.instances import compute, in_containers, time_matters
from edxconsole.cluster.judging_health import NOT_YET
from edxconsole.cluster.model import (
    NO_AGES,
    Age,
    Evidence,
    HostSnapshot,
    HostVitals,
    Instance,
    Listener,
    State,
)
from edxconsole.cluster.processes import ProcessTable
from edxconsole.cluster.restarts import RestartLog
from edxconsole.cluster.supervisors import SupervisorTable, denied
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit
from edxconsole.probe.frames import (
    AnyFrame,
    Beat,
    Hello,
    ListenerRow,
    Listeners,
    Note,
    Processes,
    Supervisor,
    Vitals,
)

MAX_NOTES = 40
SKEW_MATTERS = 0.5
"""seconds by which the known skew must move for starts to be dated anew"""
FAR = 5.0
"""seconds between the clocks that no journey of a frame explains"""


class Change(IntFlag):
    """What a frame or report changed."""

    NOTHING = 0
    NUMBERS = 1
    """something shown, but no component can have changed its state by it"""
    SHAPE = 2
    """which processes, listeners, units or answers there are"""
    DRIFT = 4
    """a measured number that moved a little: told with the next change, or a second later"""


_TOLD = {Move.NONE: Change.NOTHING, Move.DRIFT: Change.DRIFT, Move.RISE: Change.NUMBERS}


@dataclass(slots=True)
class History:
    """What outlives a connection."""

    restarts: RestartLog = field(default_factory=RestartLog)
    remembered: set[str] = field(default_factory=set)
    """components that were seen running here"""
    instances: dict[str, Instance] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    """component -> epoch s of its last change of state that was witnessed"""


class HostStore:
    """The tables of one host over one connection.

    Args:
        name: inventory name.
        attribution: catalog matching.
        expected: component ids hosts.yaml expects here.
        history: what earlier connections left.
    """

    def __init__(
        self, name: str, attribution: Attribution, expected: frozenset[str], history: History
    ) -> None:
        self.name = name
        self.clock = HostClock()
        self.hello: Hello | None = None
        self._attribution = attribution
        self._expected = expected
        self._history = history
        self._processes = ProcessTable(ticks=100, boot=0.0)
        self._supervisors = SupervisorTable(history.restarts)
        self._listener_rows: tuple[ListenerRow, ...] = ()
        self._listeners: tuple[Listener, ...] = ()
        self._vitals = CalmVitals()
        self._users: dict[int, str] = {}
        self._users_told: Mapping[int, str] = self._users
        self._units: dict[str, dict[str, Unit]] = {}
        self._health: dict[tuple[str, str], Evidence] = {}
        self._notes: dict[str, str] = {}
        self._ages: dict[str, Age] = {}
        self._cost = ProbeCost()
        self._shown_skew: float | None = None
        self._shown_rtt: float | None = None
        self._started_skew = 0.0
        self._dated: dict[str, tuple[Unit, float, Unit]] = {}
        self._instances: tuple[Instance, ...] = ()
        self._shape_dirty = True
        self._process_view = self._processes.view()
        self._processes_dirty = False

    @property
    def ready(self) -> bool:
        """Whether there is enough to be shown as live: who is speaking, processes and sockets."""
        return self.hello is not None and self._processes.complete and "listeners" in self._ages

    @property
    def skew(self) -> float:
        """Host minus console clock, seconds; 0 while unknown."""
        offset = self.clock.offset
        return offset.skew if offset else 0.0

    def apply(self, frame: AnyFrame, seen: float) -> Change:
        """Take a frame in that arrived at monotonic `seen`."""
        match frame:
            case Processes():
                return self._take_processes(frame, seen)
            case Listeners():
                self._listener_rows = frame.rows
                self._touch("listeners", frame.t, seen)
                return self._shape()
            case Supervisor():
                changed = self._supervisors.apply(frame, at=self.clock.to_console(frame.t))
                login = self.hello.user if self.hello else ""
                note = self.set_note(f"supervisor:{frame.config}", denied(frame, clean_line(login, 64)))
                return note | self._shape(changed) | self._touch("supervisor", frame.t, seen)
            case Vitals():
                return self._take_vitals(frame, seen)
            case Beat():
                return self._take_beat(frame, seen)
            case Note():
                return self._take_note(frame)
            case Hello():
                self.hello = frame
                self._started_skew = self._first_skew(frame.t)
                self._processes = ProcessTable(ticks=frame.ticks, boot=frame.boot)
                return Change.NUMBERS
        return Change.NOTHING

    def _first_skew(self, host_time: float) -> float:
        """Before the first echo: what the hello's own date tells, when it is far off ours."""
        known = self.clock.offset
        skew = known.skew if known else host_time - time.time()
        return skew if abs(skew) >= FAR else 0.0

    def set_units(self, manager: str, units: Iterable[Unit], *, at: float, seen: float) -> Change:
        """Replace all units of a manager; `at` on the host's clock."""
        new = {f"{u.manager}/{u.name}": u for u in units}
        changed = self._units.get(manager) != new
        self._units[manager] = new
        for key, unit in new.items():
            run = unit.identity if unit.identity.pid else None
            self._history.restarts.seen(key, run, self.clock.to_console(at))
        return self._shape(changed) | self._touch(manager, at, seen)

    def set_health(self, component: str, check: str, evidence: Evidence) -> Change:
        """The newest answer of a check; only another answer is a change, a newer age is not."""
        before = self._health.get((component, check))
        age = self._age(f"health:{component}/{check}", evidence.age)
        if before is not None and (before.state, before.text) == (evidence.state, evidence.text):
            return age
        self._health[component, check] = evidence
        return self._shape() | age

    def set_note(self, source: str, text: str | None) -> Change:
        """What can't be seen, in one sentence; None takes it back."""
        if self._notes.get(source) == text:
            return Change.NOTHING
        if text is None:
            del self._notes[source]
        elif source in self._notes or len(self._notes) < MAX_NOTES:
            self._notes[source] = clean_line(text)
        return Change.NUMBERS

    def clock_moved(self) -> Change:
        """After an echo: whether skew or round trip look different."""
        offset = self.clock.offset
        if offset is None:
            return Change.NOTHING
        leapt = self._date_anew(offset.skew)
        before = (self._shown_skew, self._shown_rtt)
        old_skew, old_rtt = before
        self._shown_skew = (
            offset.skew if old_skew is None
            else steady(old_skew, offset.skew, absolute=0.002 + offset.error)
        )  # fmt: skip
        self._shown_rtt = (
            offset.rtt if old_rtt is None else steady(old_rtt, offset.rtt, absolute=0.003, relative=0.3)
        )
        if (self._shown_skew, self._shown_rtt) == before:
            return Change.NOTHING
        return Change.NUMBERS if old_skew is None or leapt else Change.DRIFT

    def _date_anew(self, skew: float) -> bool:
        """Starts were dated by the clock as far as it was known; kernels and managers date to 0.01 to 1 s."""
        if abs(skew - self._started_skew) < SKEW_MATTERS:
            return False
        self._processes.shift(self._started_skew - skew)
        self._started_skew = skew
        self._processes_dirty = self._shape_dirty = True
        return True

    @property
    def time_matters(self) -> bool:
        """Whether instances may change by the passing of time alone."""
        return self._history.restarts.pending or time_matters(self._instances)

    def recompute(self) -> None:
        """Judge the instances again at the next build."""
        self._shape_dirty = True

    def build(self, standing: HostSnapshot, *, lost: str = "") -> HostSnapshot:
        """The snapshot of this moment.

        Args:
            standing: carries the link's fields; everything else in it is replaced.
            lost: why nothing here may be believed; "" when it may.
        """
        if self._processes_dirty:
            self._process_view = self._processes.view()
            self._processes_dirty = False
        units = dict(self._all_units())
        if self._shape_dirty or lost:
            self._listeners = self._attribution.listeners(
                self._listener_rows, self._process_view, self._users
            )
            self._judge(units, lost)
            self._shape_dirty = bool(lost)
        hello = self.hello
        offset = self.clock.offset
        return replace(
            standing,
            hostname=clean_line(hello.hostname, 255) if hello else "",
            kernel=clean_line(hello.kernel, 128) if hello else "",
            python=clean_line(hello.python, 64) if hello else "",
            shell_probe=hello.shell if hello else False,
            rtt=self._shown_rtt,
            skew=self._shown_skew,
            skew_error=offset.error if offset else None,
            vitals=self._vitals.shown,
            processes=self._process_view,
            listeners=self._listeners,
            supervisors=self._supervisors.infos(),
            units=MappingProxyType({key: self._on_our_clock(key, unit) for key, unit in units.items()}),
            restarting=self._history.restarts.looping(time.time()),
            instances=self._instances,
            ages=MappingProxyType(self._ages) if self._ages else NO_AGES,
            notes=tuple(self._notes.values()),
            cost=self._cost.shown,
        )

    def _all_units(self) -> Iterable[tuple[str, Unit]]:
        yield from self._supervisors.units()
        for units in self._units.values():
            yield from units.items()

    def _on_our_clock(self, key: str, unit: Unit) -> Unit:
        """The unit with `since` on the console's clock; the same object as long as nothing changed."""
        skew = self._started_skew
        if unit.since is None or not skew:
            return unit
        known = self._dated.get(key)
        if known is None or known[0] is not unit or known[1] != skew:
            known = self._dated[key] = (unit, skew, replace(unit, since=unit.since - skew))
        return known[2]

    def _judge(self, units: Mapping[str, Unit], lost: str) -> None:
        now = time.time()
        history = self._history
        by_component = self._attribution.by_component(self._process_view)
        observed = Observed(
            host=self.name,
            now=now,
            cores=self.hello.cores if self.hello else 1,
            processes=self._process_view,
            by_component=by_component,
            units=self._attribution.units(units.values()),
            listeners=self._listeners,
            health=self._health,
            restarts=history.restarts.recent(now),
            ages=self._ages,
            expected=self._expected,
            remembered=frozenset(history.remembered),
            skew=self._started_skew,
            unread=self._supervisors.unreadable,
        )
        found = compute(self._attribution.catalog, observed, history.instances, lost=lost)
        self._instances = tuple(self._since(i, now) for i in found)
        history.instances = {i.component: i for i in self._instances}
        if not lost:
            history.remembered.update(by_component)
            history.remembered.update(in_containers(observed.units))

    def _since(self, instance: Instance, now: float) -> Instance:
        """A change of state that was witnessed dates from now, not from the start of a process."""
        before = self._history.instances.get(instance.component)
        if before is not None and before.state is not instance.state:
            first_answer = before.reason.endswith(NOT_YET) and instance.state is State.UP
            if not first_answer:
                self._history.changed[instance.component] = now
        witnessed = self._history.changed.get(instance.component)
        if witnessed is None or instance.since == witnessed:
            return instance
        if instance.state is State.UP and instance.since is not None and instance.since > witnessed:
            return instance
        return replace(instance, since=witnessed)

    def _take_processes(self, frame: Processes, seen: float) -> Change:
        shape, numbers = self._processes.apply(frame, skew=self._started_skew)
        self._processes_dirty |= shape or numbers
        age = self._touch("processes", frame.t, seen)
        return self._shape(shape) | (Change.NUMBERS if numbers else Change.NOTHING) | age

    def _take_vitals(self, frame: Vitals, seen: float) -> Change:
        change = _TOLD[self._vitals.take(self._measured(frame), seen)]
        if frame.users is not self._users_told:
            self._users_told = frame.users
            change |= self._rename(frame.users)
        return change | self._touch("vitals", frame.t, seen)

    def _measured(self, frame: Vitals) -> HostVitals:
        return HostVitals(
            load=frame.load,
            cpu=frame.cpu,
            cores=self.hello.cores if self.hello else 1,
            mem_total=frame.mem_total,
            mem_available=frame.mem_available,
            swap_total=frame.swap_total,
            swap_free=frame.swap_free,
            disks=frame.disks,
        )

    def _rename(self, users: Mapping[int, str]) -> Change:
        if all(self._users.get(uid) == name for uid, name in users.items()):
            return Change.NOTHING
        self._users.update((uid, clean_line(name, 64)) for uid, name in users.items())
        self._processes_dirty |= self._processes.users(self._users)
        self._shape_dirty = True
        return Change.NUMBERS

    def _take_beat(self, frame: Beat, seen: float) -> Change:
        cooled = self._processes.cool(frame.t)
        self._processes_dirty |= cooled
        # A beat says that nothing else changed: what is shown was true at this moment.
        age = Age(at=self.clock.to_console(frame.t), seen=seen)
        for source in ("processes", "listeners", "vitals", "supervisor"):
            if source in self._ages:
                self._ages[source] = age
        cost = Change.DRIFT if self._cost.take(frame, seen) else Change.NOTHING
        return cost | Change.NUMBERS if cooled else cost

    def _take_note(self, frame: Note) -> Change:
        where = f" {clean_line(frame.path, 120)}" if frame.path else ""
        return self.set_note(
            f"probe:{frame.what}:{frame.path}", f"{frame.text}{where}" if frame.text else None
        )

    def _shape(self, changed: bool = True) -> Change:
        self._shape_dirty |= changed
        return Change.SHAPE | Change.NUMBERS if changed else Change.NOTHING

    def _touch(self, source: str, at: float, seen: float) -> Change:
        return self._age(source, Age(at=self.clock.to_console(at), seen=seen))

    def _age(self, source: str, age: Age) -> Change:
        """Known sources are updated in place, so that snapshots age truly without a new version."""
        if source in self._ages:
            self._ages[source] = age
            return Change.NOTHING
        self._ages = {**self._ages, source: age}
        return Change.NUMBERS
