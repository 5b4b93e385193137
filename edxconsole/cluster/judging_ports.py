"""What the sockets of a host say of an instance: not open yet, open, held by another process. Pure."""

from __future__ import annotations

from edxconsole.cluster.case import Case, Observed, Verdict, is_young, overruled
from edxconsole.cluster.listening import missing, on_spec, orphan, place
from edxconsole.cluster.model import Age, Evidence, State
from edxconsole.cluster.units import CONTAINERS, UnitHealth


def judge_listeners(case: Case) -> None:
    if case.contained or "listeners" not in case.seen.ages:
        return
    if _judge_orphan(case):
        return
    running = any(u.health is UnitHealth.RUNNING or overruled(case, u) for u in case.units) or not case.units
    absent = missing(case.component, case.seen.listeners, frozenset(p.pid for p in case.processes))
    if running and absent and case.processes:
        places = ", ".join(place(s) for s in absent)
        young = is_young(case)
        reason = f"starting, {places} not open yet" if young else f"nothing listens on {places}"
        case.say("listener", State.DEGRADED, reason)
        return
    for spec in case.component.listeners:
        for listener in on_spec(spec, case.seen.listeners):
            who = f"pid {listener.pid}" if listener.pid is not None else f"user {listener.user}"
            who = f"{who}, as it seems" if listener.pid is not None and listener.how != "owner" else who
            case.say("listener", State.UP, f"{place(spec)} is open, held by {who}")
            break


def _judge_orphan(case: Case) -> bool:
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
