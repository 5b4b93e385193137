"""Component instances of one host: what each is, and which observation says so. Pure.

A unit that its manager calls RUNNING is up only when nothing contradicts it: a health check that
fails, a port held by another process, a crash loop. What was not checked is said as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from edxconsole.catalog.model import Catalog, Component
from edxconsole.cluster.checks import Check, checks_of
from edxconsole.cluster.listening import missing, on_spec, orphan, place
from edxconsole.cluster.model import Age, Evidence, Instance, Listener, Process, State
from edxconsole.cluster.restarts import LOOP
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth
from edxconsole.cluster.workers import count_workers, expected_workers, workers_of_units

YOUNG = 20.0
"""seconds after a start in which a failing check means starting, not down"""
LOOP_OVER = 15.0
"""seconds after its last restart during which a program still counts as restarting for ever"""
HEALTH_BUDGET = 45.0
"""seconds after which a health answer says nothing any more; longer for what is asked less often"""
LATE = 15.0
"""seconds that an ask may take and wait for its turn"""

INIT = frozenset({"systemd", "sysv"})
_IDLE = frozenset({UnitHealth.STOPPED, UnitHealth.EXITED, UnitHealth.UNKNOWN})
_WORST = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.UP)


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
class _Case:
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


HEALTHY = "(healthy)"
"""in a container's word: it has a health check of its own, and that passed"""
NOT_YET = "not checked yet"
"""ends the reason of an instance whose first answers are on their way"""
_AGE_OF = {"process": "processes", "listener": "listeners"}


def compute(
    catalog: Catalog, seen: Observed, before: Mapping[str, Instance], *, lost: str = ""
) -> tuple[Instance, ...]:
    """Every instance of the host in catalog order; an unchanged one is the same object as before.

    Args:
        before: component id -> instance of the previous computation.
        lost: why nothing here may be believed now; "" when the host is live.
    """
    here = seen.units.keys() | seen.by_component.keys() | seen.expected | seen.remembered
    known = (c for c in catalog.components.values() if c.id in here)
    found = (_instance(c, seen, before.get(c.id), lost) for c in known)
    return tuple(i for i in found if i is not None)


def _instance(component: Component, seen: Observed, before: Instance | None, lost: str) -> Instance | None:
    units = tuple(u for u in seen.units.get(component.id, ()) if _counts(component, u, seen))
    case = _Case(seen, component, units, seen.by_component.get(component.id, ()))
    expected = component.id in seen.expected
    if not units and not case.processes:
        if component.id in seen.remembered:
            state, text = State.DOWN, "gone: none of its processes is left"
            if component.normal_exit:
                state, text = State.UNKNOWN, "ended, which is normal for it; no manager says how"
            case.say("process", state, text)
        elif expected:
            case.say("process", State.ABSENT, "expected here, nothing seen of it")
        else:
            return None
    else:
        for judge in _JUDGES:
            judge(case)
    return _settled(_made(case, expected, lost), before)


def _counts(component: Component, unit: Unit, seen: Observed) -> bool:
    """An init system lists what is merely installed; that counts once it ran or is expected.

    Where it can't tell, the processes alone do.
    """
    if unit.kind == CONTAINERS:
        return not _of_idle_project(component, unit, seen)
    if unit.kind not in INIT or unit.health not in _IDLE:
        return True
    if seen.by_component.get(component.id):
        return True
    known = component.id in seen.remembered or component.id in seen.expected
    return known and unit.health is not UnitHealth.UNKNOWN


def _of_idle_project(component: Component, unit: Unit, seen: Observed) -> bool:
    """Whether it is idle, and another project on this host has the same and runs it."""
    project = unit.name.partition(":")[0]
    others = (u for u in seen.units.get(component.id, ()) if u.kind == CONTAINERS)
    runs = any(u.health not in _IDLE and u.name.partition(":")[0] != project for u in others)
    return unit.health in _IDLE and runs


def _judge_units(case: _Case) -> None:
    told = [(u, *_unit_verdict(u, case)) for u in case.units if not _overruled(case, u)]
    for unit, state, reason in told:
        case.say(unit.kind, state, reason)
    good = sum(state is State.UP or unit.health is UnitHealth.RUNNING for unit, state, _ in told)
    down = [reason for _, state, reason in told if state is State.DOWN]
    if good and down:
        more = f" and {len(down) - 1} more" if len(down) > 1 else ""
        text = f"{len(down)} of {len(told)} down: {down[0]}{more}"
        case.verdicts = [
            Verdict(State.DEGRADED, text, v.evidence) if v.state is State.DOWN else v for v in case.verdicts
        ]


def _overruled(case: _Case, unit: Unit) -> bool:
    """An init system that does not know of processes which plainly run (started by hand, by
    another manager, or its script can't tell) says nothing about them."""
    weak = unit.health in _IDLE or (unit.kind == "sysv" and unit.health is UnitHealth.FAILED)
    return unit.kind in INIT and weak and bool(case.processes)


def _unit_verdict(unit: Unit, case: _Case) -> tuple[State, str]:
    said = f"{unit.name} {unit.word}" + (f": {unit.detail}" if unit.detail else "")
    match unit.health:
        case UnitHealth.RUNNING:
            pid = f", pid {unit.identity.pid}" if unit.identity.pid else ""
            return State.UP, f"{said}{pid}"
        case UnitHealth.STARTING | UnitHealth.STOPPING:
            return State.DEGRADED, said
        case UnitHealth.EXITED if case.component.normal_exit:
            return State.UP, f"{said}, which is normal for it"
        case UnitHealth.UNKNOWN:
            return State.UNKNOWN, said
        case _:
            return State.DOWN, said


def _judge_restarts(case: _Case) -> None:
    for unit in case.units:
        times = case.seen.restarts.get(f"{unit.manager}/{unit.name}", ())
        if len(times) >= LOOP:
            span = max(1, round(max(case.seen.now, times[-1]) - times[0]))
            state = State.DOWN if unit.word == "FATAL" else State.DEGRADED
            text = f"{unit.name} restarted {len(times)} times in {_round_span(span)} s"
            case.verdicts.insert(
                0, Verdict(state, text, Evidence(unit.kind, text, state, Age(times[-1], 0.0)))
            )


def _judge_docker_restarts(case: _Case) -> None:
    """Docker counts its restarts: a container that runs for a moment between two of them is not well."""
    for unit in case.units:
        count = unit.container.restarts if unit.container else 0
        since = (unit.since or 0.0) - case.seen.skew
        if unit.health is UnitHealth.RUNNING and count >= LOOP and case.seen.now - since < LOOP_OVER:
            text = f"starting again: Docker has restarted {unit.name} {count} times, last a moment ago"
            case.say(unit.kind, State.DEGRADED, text)


def _judge_loop(case: _Case) -> None:
    """One steady state for what keeps restarting; each moment of it would be another one."""
    for unit in case.units:
        times = case.seen.restarts.get(f"{unit.manager}/{unit.name}", ())
        if len(times) >= LOOP and case.seen.now - times[-1] < LOOP_OVER and unit.word != "FATAL":
            case.verdicts = [
                Verdict(State.DEGRADED, v.reason, v.evidence) if v.state is State.DOWN else v
                for v in case.verdicts
            ]


def _round_span(seconds: int) -> int:
    """To 5 s, so that the sentence does not change with every tick."""
    return seconds if seconds < 10 else 5 * round(seconds / 5)


def _judge_processes(case: _Case) -> None:
    unknowing = [u for u in case.units if _overruled(case, u)]
    if len(unknowing) < len(case.units) or not case.processes:
        return
    own = {p.pid for p in case.processes}
    tops = [str(p.pid) for p in case.processes if p.ppid not in own]
    more = f" and {len(tops) - 3} more" if len(tops) > 3 else ""
    though = "no manager seen"
    if unknowing:
        though = f"though {unknowing[0].kind} says {unknowing[0].word}"
    elif case.seen.unread and case.component.managers.supervisor:
        though = "its program unknown: supervisord can't be read"
    case.say("process", State.UP, f"running as pid {', '.join(tops[:3])}{more}, {though}")


def _judge_listeners(case: _Case) -> None:
    if case.contained or "listeners" not in case.seen.ages:
        return
    if _judge_orphan(case):
        return
    running = any(u.health is UnitHealth.RUNNING or _overruled(case, u) for u in case.units) or not case.units
    absent = missing(case.component, case.seen.listeners, frozenset(p.pid for p in case.processes))
    if running and absent and case.processes:
        places = ", ".join(place(s) for s in absent)
        young = _young(case)
        reason = f"starting, {places} not open yet" if young else f"nothing listens on {places}"
        case.say("listener", State.DEGRADED, reason)
        return
    for spec in case.component.listeners:
        for listener in on_spec(spec, case.seen.listeners):
            who = f"pid {listener.pid}" if listener.pid is not None else f"user {listener.user}"
            who = f"{who}, as it seems" if listener.pid is not None and listener.how != "owner" else who
            case.say("listener", State.UP, f"{place(spec)} is open, held by {who}")
            break


def _judge_orphan(case: _Case) -> bool:
    for unit in (u for u in case.units if u.kind != CONTAINERS):
        held = orphan(case.component, unit, case.seen.listeners, case.seen.processes, _pids(case.seen))
        if held is None:
            continue
        running = unit.health is UnitHealth.RUNNING
        text = (
            f"{held.address if held.proto == 'unix' else f'port {held.port}'} is held by pid {held.pid}"
            f" ({held.process or 'unknown'}), not by {unit.name}"
        )
        state = State.DEGRADED if running else State.DOWN
        age = case.seen.ages.get("listeners") or Age(case.seen.now, 0.0)
        case.verdicts.insert(0, Verdict(state, text, Evidence("listener", text, state, age)))
        return True
    return False


def _pids(seen: Observed) -> frozenset[int]:
    """The processes that units of this host run as, by what their managers say now."""
    return frozenset(u.identity.pid for us in seen.units.values() for u in us if u.identity.pid)


def _judge_health(case: _Case) -> None:
    own = any(u.kind != CONTAINERS and u.health is UnitHealth.RUNNING for u in case.units)
    own = own or bool(case.processes)
    for check in checks_of(case.component, case.units, own=own, ports=_ports(case)):
        if not check.spec.on_demand:
            _judge_check(case, check)


def _judge_check(case: _Case, check: Check) -> None:
    answer = case.seen.health.get((case.component.id, check.name))
    every = check.spec.every
    if answer is None:
        case.say("health", State.UNKNOWN, f"{check.name} {NOT_YET}", every=every)
        return
    age = case.seen.ages.get(f"health:{case.component.id}/{check.name}") or answer.age
    budget = max(HEALTH_BUDGET, 2 * every + LATE)
    if case.seen.now - age.at > budget:
        case.say("health", State.UNKNOWN, f"{check.name} not answered for over {budget:.0f} s", age, every)
    elif answer.state in (State.DOWN, State.DEGRADED) and _young(case):
        case.say("health", State.DEGRADED, f"starting: {answer.text}", age, every)
    elif answer.state is State.UNKNOWN and not check.spec.gate:
        # Said, but the component itself was asked by another check.
        evidence = Evidence("health", answer.text, State.UNKNOWN, age, every)
        case.verdicts.append(Verdict(State.UP, answer.text, evidence))
    elif answer.state is State.UNKNOWN and check.unit is not None and HEALTHY in check.unit.word:
        # It could not be asked by us; its own check, which Docker makes, says that it is well.
        case.say("health", State.UP, f"well by its container's own check; {answer.text}", age, every)
    else:
        case.say("health", answer.state, answer.text, age, every)


def _young(case: _Case) -> bool:
    """Whether a unit of it started so recently that it may still be coming up."""
    limit = case.seen.now - YOUNG
    units = (u for u in case.units if u.health is UnitHealth.RUNNING and u.since is not None)
    return any((u.since or 0.0) - case.seen.skew > limit for u in units)


_JUDGES: tuple[Callable[[_Case], None], ...] = (
    _judge_units,
    _judge_processes,
    _judge_restarts,
    _judge_docker_restarts,
    _judge_listeners,
    _judge_health,
    _judge_loop,
)


def in_containers(units: Mapping[str, tuple[Unit, ...]]) -> frozenset[str]:
    """Components of which a container runs; processes of containers are not attributed by themselves."""
    running = (UnitHealth.RUNNING, UnitHealth.STARTING)
    return frozenset(
        c for c, us in units.items() if any(u.kind == CONTAINERS and u.health in running for u in us)
    )


def time_matters(instances: Iterable[Instance]) -> bool:
    """Whether a judgement would change by the passing of time alone (a start that takes too long)."""
    return any(i.reason.startswith("starting") for i in instances)


def _made(case: _Case, expected: bool, lost: str) -> Instance:
    order = sorted(case.verdicts, key=lambda v: _rank(v.state))
    worst = order[0]
    state, reason = worst.state, worst.reason
    if lost:
        state, reason = State.UNKNOWN, f"{lost}; was {worst.state.value}"
    pids = tuple(sorted({p.pid for p in case.processes} | _unit_pids(case)))
    return Instance(
        component=case.component.id,
        host=case.seen.host,
        state=state,
        reason=reason,
        since=_started(case) if state is State.UP else None,
        units=tuple(f"{u.manager}/{u.name}" for u in case.units),
        pids=pids,
        ports=_ports(case),
        workers_expected=_usual_workers(case),
        workers_found=count_workers(case.processes)
        if case.component.workers and not case.contained
        else None,
        evidence=tuple(v.evidence for v in case.verdicts),
        expected=expected,
    )


def _ports(case: _Case) -> tuple[int, ...]:
    """Those of the host on which it listens."""
    if case.contained:
        return ()
    ports = {s.port for spec in case.component.listeners for s in on_spec(spec, case.seen.listeners)}
    ports |= {s.port for s in case.seen.listeners if s.component == case.component.id}
    return tuple(sorted(p for p in ports if p))


def _usual_workers(case: _Case) -> int | None:
    spec = case.component.workers
    if spec is None or case.contained:
        return None
    if spec.units:
        return workers_of_units(spec.units, (u.name for u in case.units if u.health is UnitHealth.RUNNING))
    return expected_workers(spec.expression, case.seen.cores)


def _unit_pids(case: _Case) -> set[int]:
    """What managers started, also where no signature knows it."""
    return {u.identity.pid for u in case.units if u.identity.pid in case.seen.processes and u.identity.pid}


def _rank(state: State) -> int:
    return _WORST.index(state) if state in _WORST else -1


def _started(case: _Case) -> float | None:
    since = [u.since - case.seen.skew for u in case.units if u.since is not None]
    since = since or [p.started_at for p in case.processes]
    return max(since, default=None)


def _settled(new: Instance, before: Instance | None) -> Instance:
    """`before` itself when nothing but ages moved; otherwise the new one, keeping `since`."""
    if before is None:
        return new
    if new.state is before.state and before.since is not None:
        new = replace(new, since=before.since)
    return before if _facts(new) == _facts(before) else new


def _facts(i: Instance) -> tuple[object, ...]:
    said = tuple((e.source, e.text, e.state) for e in i.evidence)
    workers = (i.workers_expected, i.workers_found)
    return (i.state, i.reason, i.since, i.units, i.pids, i.ports, workers, said, i.expected)
