"""What an instance answered when it was asked. Pure."""

from __future__ import annotations

from edxconsole.cluster.case import Case, Verdict, is_young, ports_of
from edxconsole.cluster.checks import Check, checks_of
from edxconsole.cluster.model import Evidence, State
from edxconsole.cluster.units import CONTAINERS, UnitHealth

HEALTH_BUDGET = 45.0
"""seconds after which a health answer says nothing any more; longer for what is asked less often"""
LATE = 15.0
"""seconds that an ask may take and wait for its turn"""
HEALTHY = "(healthy)"
"""in a container's word: it has a health check of its own, and that passed"""
NOT_YET = "not checked yet"
"""ends the reason of an instance whose first answers are on their way"""


def judge_health(case: Case) -> None:
    own = any(u.kind != CONTAINERS and u.health is UnitHealth.RUNNING for u in case.units)
    own = own or bool(case.processes)
    for check in checks_of(case.component, case.units, own=own, ports=ports_of(case)):
        if not check.spec.on_demand:
            _judge_check(case, check)


def _judge_check(case: Case, check: Check) -> None:
    answer = case.seen.health.get((case.component.id, check.name))
    every = check.spec.every
    if answer is None:
        case.say("health", State.UNKNOWN, f"{check.name} {NOT_YET}", every=every)
        return
    age = case.seen.ages.get(f"health:{case.component.id}/{check.name}") or answer.age
    budget = max(HEALTH_BUDGET, 2 * every + LATE)
    if case.seen.now - age.at > budget:
        case.say("health", State.UNKNOWN, f"{check.name} not answered for over {budget:.0f} s", age, every)
    elif answer.state in (State.DOWN, State.DEGRADED) and is_young(case):
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
