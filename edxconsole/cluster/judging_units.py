"""What managers and the process table say of an instance. Pure."""

from __future__ import annotations

from edxconsole.cluster.case import Case, Verdict, overruled
from edxconsole.cluster.model import Age, Evidence, State
from edxconsole.cluster.restarts import LOOP
from edxconsole.cluster.units import Unit, UnitHealth

LOOP_OVER = 15.0
"""seconds after its last restart during which a program still counts as restarting for ever"""


def judge_units(case: Case) -> None:
    told = [(u, *_unit_verdict(u, case)) for u in case.units if not overruled(case, u)]
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


def _unit_verdict(unit: Unit, case: Case) -> tuple[State, str]:
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


def judge_restarts(case: Case) -> None:
    for unit in case.units:
        times = case.seen.restarts.get(f"{unit.manager}/{unit.name}", ())
        if len(times) >= LOOP:
            span = max(1, round(max(case.seen.now, times[-1]) - times[0]))
            state = State.DOWN if unit.word == "FATAL" else State.DEGRADED
            text = f"{unit.name} restarted {len(times)} times in {_round_span(span)} s"
            case.verdicts.insert(
                0, Verdict(state, text, Evidence(unit.kind, text, state, Age(times[-1], 0.0)))
            )


def judge_docker_restarts(case: Case) -> None:
    """Docker counts its restarts: a container that runs for a moment between two of them is not well."""
    for unit in case.units:
        count = unit.container.restarts if unit.container else 0
        since = (unit.since or 0.0) - case.seen.skew
        if unit.health is UnitHealth.RUNNING and count >= LOOP and case.seen.now - since < LOOP_OVER:
            text = f"starting again: Docker has restarted {unit.name} {count} times, last a moment ago"
            case.say(unit.kind, State.DEGRADED, text)


def judge_loop(case: Case) -> None:
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


def judge_processes(case: Case) -> None:
    unknowing = [u for u in case.units if overruled(case, u)]
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
