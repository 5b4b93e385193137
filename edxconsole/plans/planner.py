"""Make a plan out of targets. Pure: no I/O, nothing is changed by planning.

What a verb means for a component is the catalog's (`ActionSpec`, after domain.md section 5.1);
here it only becomes steps: the exact command, the identity it is confirmed for, the gates after it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

from edxconsole.catalog.model import ActionSpec, Catalog, Component, HealthSpec
from edxconsole.cluster.model import HostSnapshot, Process
from edxconsole.cluster.units import CONTAINERS, Identity, Unit, UnitHealth
from edxconsole.errors import PreflightFailed, UsageError
from edxconsole.plans.model import Gate, GateLevel, Plan, Step
from edxconsole.plans.targets import Target
from edxconsole.services.base import Verb
from edxconsole.services.docker import NO_RELOAD
from edxconsole.services.guard import same_run
from edxconsole.services.hup import command as hup_command
from edxconsole.services.hup import find_master

CommandText = Callable[[str, Unit, Verb], str]
"""(host, unit, verb) -> what the manager's act() will do, as shown to the operator"""

ENDING = frozenset({Verb.STOP, Verb.RESTART})
MOMENT = 10.0
"""seconds after a start or end in which a unit may be in a crash loop"""

SUPERVISOR_REFUSAL = (
    "supervisord itself is not restarted from here: reload or restart of its service takes down "
    "every program it runs, and its stock unit fails on restart"
)
"""services.md section 0.6, reproduced there."""


def build_plan(
    *,
    cluster: str,
    environment: str,
    catalog: Catalog,
    hosts: dict[str, HostSnapshot],
    targets: Sequence[Target],
    verb: Verb,
    selector: str,
    command: CommandText,
    reason: str = "",
) -> Plan:
    """The plan for one verb on these targets, whose units were observed just now.

    Raises UsageError or PreflightFailed with the reason when the catalog refuses the verb.
    """
    steps = tuple(_step(catalog, hosts[t.host], t, verb, command) for t in targets)
    return Plan(
        id=new_plan_id(),
        cluster=cluster,
        environment=environment,
        verb=verb,
        selector=selector,
        steps=steps,
        created=time.time(),
        reason=reason,
    )


def new_plan_id() -> str:
    """Sorts by time: YYYYmmdd-HHMMSS-xxxx."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def phrase(plan: Plan) -> str:
    """What the operator types to confirm in production: it names what changes."""
    if len(plan.steps) == 1:
        step = plan.steps[0]
        return f"{plan.verb.value} {step.unit} {step.host}"
    return f"{plan.verb.value} {len(plan.steps)} {plan.selector} {plan.environment}"


def _step(catalog: Catalog, host: HostSnapshot, target: Target, verb: Verb, command: CommandText) -> Step:
    component = catalog.get(target.component)
    if target.component == "supervisor":
        raise UsageError(SUPERVISOR_REFUSAL, host=host.name)
    contained = target.unit.kind == CONTAINERS
    spec = _contained(component, verb) if contained else _action(component, verb)
    if spec.method == "none":
        raise UsageError(f"{target.unit.name} can't {verb.value}: {spec.what}", host=host.name)
    method = _method(spec.method, component, target.unit, verb)
    master = None
    if method == "hup-master" and component:
        master = _find_master(host, target.unit, component)
    return Step(
        host=host.name,
        manager=target.unit.manager,
        unit=target.unit.name,
        component=target.component,
        verb=verb,
        before=target.unit.identity,
        command=hup_command(master) if master else command(host.name, target.unit, verb),
        method=method,
        # What runs in a container has its programs and ports there: the host's tell nothing of it.
        preflight=() if contained else spec.preflight,
        gates=_gates(component, verb, method, contained=contained),
        deadline=spec.deadline,
        gate_deadline=spec.gate_deadline,
        warning=spec.warning,
        master=master.identity if master else Identity(),
        any_run=method == "manager" and verb in ENDING and restarts_by_itself(host, target.unit),
    )


def restarts_by_itself(host: HostSnapshot, unit: Unit) -> bool:
    """Whether its run may be another before one can be confirmed: a crash loop, or one that may be.

    In a loop, STARTING, another run than in the snapshot, or down or up only since a moment ago.
    A one-shot command has not watched for long enough to know the first. What was stopped stays so.
    """
    if unit.health in (UnitHealth.STOPPED, UnitHealth.STOPPING):
        return False
    key = f"{unit.manager}/{unit.name}"
    if unit.health is UnitHealth.STARTING or key in host.restarting:
        return True
    known = host.units.get(key)
    if known is not None and not same_run(known.identity, unit.identity):
        return True
    return unit.since is not None and time.time() - (unit.since - (host.skew or 0.0)) < MOMENT


def _action(component: Component | None, verb: Verb) -> ActionSpec:
    spec: ActionSpec | None = getattr(component.actions, verb.value) if component else None
    return spec or ActionSpec(what=f"{verb.value} as its manager does it")


def _contained(component: Component | None, verb: Verb) -> ActionSpec:
    """Its reload is a program in its container, where the catalog knows one."""
    spec = _action(component, verb)
    if verb is not Verb.RELOAD:
        return spec
    argv = component.tutor.reload if component and component.tutor else ()
    if not argv:
        return ActionSpec(what=NO_RELOAD, method="none")
    what = f"{argv[0]} in its container, as its user"
    return spec.model_copy(update={"what": what, "method": "manager"})


def _find_master(host: HostSnapshot, unit: Unit, component: Component) -> Process:
    try:
        return find_master(host.processes, unit, component.signature.master or "")
    except PreflightFailed as error:
        error.host = host.name
        raise


def _method(method: str, component: Component | None, unit: Unit, verb: Verb) -> str:
    """supervisord can't reload a program; a HUP to its master does, where the component has one."""
    by_supervisor = verb is Verb.RELOAD and method == "manager" and unit.kind == "supervisor"
    return "hup-master" if by_supervisor and component and component.signature.master else method


def _gates(component: Component | None, verb: Verb, method: str, *, contained: bool) -> tuple[Gate, ...]:
    if verb is Verb.STOP:
        return (Gate(GateLevel.L0, "its manager says stopped, its ports are closed"),)
    if method == "hup-master":
        first = Gate(GateLevel.L0, "same master process, new workers")
    elif verb is Verb.RELOAD:
        first = Gate(GateLevel.L0, "its manager says running, same main process, new workers")
    else:
        first = Gate(GateLevel.L0, "its manager says running, as a new process")
    gates = [first]
    if component and not contained and any(listener.required for listener in component.listeners):
        gates.append(Gate(GateLevel.L1, "its ports are open and held by it, not by an orphan"))
    specs = _specs(component, contained) if component else ()
    asked = [spec.name for spec in specs if spec.gate and not spec.on_demand]
    if asked:
        gates.append(Gate(GateLevel.L2, "it answers: " + ", ".join(asked)))
    return tuple(gates)


def _specs(component: Component, contained: bool) -> tuple[HealthSpec, ...]:
    if contained:
        return component.tutor.health if component.tutor else ()
    return component.health
