"""Component instances of one host: what each is, and which observation says so. Pure.

A unit that its manager calls RUNNING is up only when nothing contradicts it: a health check that
fails, a port held by another process, a crash loop. What was not checked is said as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from edxconsole.catalog.model import Catalog, Component
from edxconsole.cluster.case import IDLE, INIT, Case, Observed, ports_of
from edxconsole.cluster.judging_health import judge_health
from edxconsole.cluster.judging_ports import judge_listeners
from edxconsole.cluster.judging_units import (
    judge_docker_restarts,
    judge_loop,
    judge_processes,
    judge_restarts,
    judge_units,
)
from edxconsole.cluster.model import Instance, State
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth
from edxconsole.cluster.workers import count_workers, expected_workers, workers_of_units

_WORST = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.UP)
_JUDGES: tuple[Callable[[Case], None], ...] = (
    judge_units,
    judge_processes,
    judge_restarts,
    judge_docker_restarts,
    judge_listeners,
    judge_health,
    judge_loop,
)


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
    case = Case(seen, component, units, seen.by_component.get(component.id, ()))
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
    if unit.kind not in INIT or unit.health not in IDLE:
        return True
    if seen.by_component.get(component.id):
        return True
    known = component.id in seen.remembered or component.id in seen.expected
    return known and unit.health is not UnitHealth.UNKNOWN


def _of_idle_project(component: Component, unit: Unit, seen: Observed) -> bool:
    """Whether it is idle, and another project on this host has the same and runs it."""
    project = unit.name.partition(":")[0]
    others = (u for u in seen.units.get(component.id, ()) if u.kind == CONTAINERS)
    runs = any(u.health not in IDLE and u.name.partition(":")[0] != project for u in others)
    return unit.health in IDLE and runs


def in_containers(units: Mapping[str, tuple[Unit, ...]]) -> frozenset[str]:
    """Components of which a container runs; processes of containers are not attributed by themselves."""
    running = (UnitHealth.RUNNING, UnitHealth.STARTING)
    return frozenset(
        c for c, us in units.items() if any(u.kind == CONTAINERS and u.health in running for u in us)
    )


def time_matters(instances: Iterable[Instance]) -> bool:
    """Whether a judgement would change by the passing of time alone (a start that takes too long)."""
    return any(i.reason.startswith("starting") for i in instances)


def _made(case: Case, expected: bool, lost: str) -> Instance:
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
        ports=ports_of(case),
        workers_expected=_usual_workers(case),
        workers_found=count_workers(case.processes)
        if case.component.workers and not case.contained
        else None,
        evidence=tuple(v.evidence for v in case.verdicts),
        expected=expected,
    )


def _usual_workers(case: Case) -> int | None:
    spec = case.component.workers
    if spec is None or case.contained:
        return None
    if spec.units:
        return workers_of_units(spec.units, (u.name for u in case.units if u.health is UnitHealth.RUNNING))
    return expected_workers(spec.expression, case.seen.cores)


def _unit_pids(case: Case) -> set[int]:
    """What managers started, also where no signature knows it."""
    return {u.identity.pid for u in case.units if u.identity.pid in case.seen.processes and u.identity.pid}


def _rank(state: State) -> int:
    return _WORST.index(state) if state in _WORST else -1


def _started(case: Case) -> float | None:
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
