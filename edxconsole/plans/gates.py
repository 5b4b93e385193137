"""Gates L0 to L2: whether a unit is truly back after an act, each with its evidence.

RUNNING and an open port are both false greens (services.md section 0.8): L0 asks the manager for
a new identity, L1 who holds the port, L2 the protocol itself on its own port. services.md 4.3.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from edxconsole.catalog.model import Component
from edxconsole.cluster.listening import apart, descends
from edxconsole.cluster.model import HostSnapshot, Listener, State
from edxconsole.cluster.units import CONTAINERS, Identity, Unit, UnitHealth
from edxconsole.errors import EdxconsoleError
from edxconsole.plans.model import GateLevel, GateResult, Step
from edxconsole.plans.port import EnginePort
from edxconsole.services.base import Verb


@dataclass(frozen=True, slots=True)
class Acted:
    """What was true around the act: ports its process tree held before, worker pids before."""

    at: float
    """epoch s"""
    ports: frozenset[int]
    workers: frozenset[tuple[int, int]]
    """(pid, start) of the processes below the master"""


def before_act(host: HostSnapshot, step: Step, unit: Unit, component: Component | None) -> Acted:
    """Remember what must come back. Ports: those held by its tree, else what the catalog requires."""
    root = (None if step.any_run else step.before.pid) or unit.identity.pid
    held = {
        listener.port
        for listener in host.listeners
        if root and listener.pid and listener.port and descends(listener.pid, root, host.processes)
    }
    if not held and component and unit.kind != CONTAINERS:
        held = {s.port for s in component.listeners if s.required and s.port}
    main = step.master.pid or root
    return Acted(time.time(), frozenset(held), _workers(host, main, unit))


def _workers(host: HostSnapshot, main: int | None, unit: Unit) -> frozenset[tuple[int, int]]:
    """(pid, start) of the processes below the main one; of a container, whose first process may be an
    init or a shell, those that have none below themselves."""
    if not main:
        return frozenset()
    if unit.kind != CONTAINERS:
        return frozenset((p.pid, p.start) for p in host.processes.values() if p.ppid == main)
    tree = [p for p in host.processes.values() if p.pid != main and descends(p.pid, main, host.processes)]
    parents = {p.ppid for p in tree}
    return frozenset((p.pid, p.start) for p in tree if p.pid not in parents)


async def try_gates(port: EnginePort, step: Step, acted: Acted) -> tuple[list[GateResult], Unit]:
    """Try every gate of the step once, in order, stopping at the first that fails."""
    results: list[GateResult] = []
    started = time.perf_counter()
    unit = await port.manager(step.host, step.manager).observe(step.unit)
    for gate in step.gates:
        passed, evidence = await _try(port, step, acted, unit, gate.level)
        elapsed = (time.perf_counter() - started) * 1000
        results.append(GateResult(gate.level, passed, evidence, round(elapsed, 1)))
        if not passed:
            break
    return results, unit


async def _try(port: EnginePort, step: Step, acted: Acted, unit: Unit, level: GateLevel) -> tuple[bool, str]:
    host = port.snapshot.hosts[step.host]
    if level is GateLevel.L0:
        if step.verb is Verb.STOP:
            return _stopped(host, acted, unit)
        if step.verb is Verb.RELOAD:
            return _reloaded(host, step, acted, unit)
        return _running(step, unit)
    if level is GateLevel.L1:
        return _holds_ports(host, acted, unit.identity)
    return await _answers(port, step)


def _stopped(host: HostSnapshot, acted: Acted, unit: Unit) -> tuple[bool, str]:
    if unit.health not in (UnitHealth.STOPPED, UnitHealth.EXITED):
        return False, f"its manager says {unit.word}"
    still = [entry for entry in host.listeners if entry.port in acted.ports]
    if still:
        return False, f"port {still[0].port} is still open, held by {_holder(still[0])}"
    return True, f"{unit.word}, ports closed"


def _running(step: Step, unit: Unit) -> tuple[bool, str]:
    if unit.health is not UnitHealth.RUNNING:
        return False, f"its manager says {unit.word}" + (f": {unit.detail}" if unit.detail else "")
    if unit.identity == step.before:
        return False, f"still the old process, {unit.identity}"
    return True, f"{unit.word}, {unit.identity}"


def _reloaded(host: HostSnapshot, step: Step, acted: Acted, unit: Unit) -> tuple[bool, str]:
    """Same main process, and as many new workers as there were old ones.

    New workers are the proof: nginx answers a HUP it can't follow by keeping the old ones
    (services.md 4.1). Old workers may linger to finish requests; that is said, not failed.
    """
    if unit.health is not UnitHealth.RUNNING:
        return False, f"its manager says {unit.word}" + (f": {unit.detail}" if unit.detail else "")
    main = host.processes.get((step.master.pid if step.method == "hup-master" else step.before.pid) or -1)
    gone = step.method == "hup-master" and (main is None or main.identity != step.master)
    if gone or unit.identity != step.before:
        return False, f"the main process of {step.before} is gone: what it was to load broke it"
    workers = _workers(host, main.pid if main else None, unit)
    new, old = len(workers - acted.workers), len(workers & acted.workers)
    if acted.workers and new < len(acted.workers):
        return False, f"{new} new workers, {old} old ones: it did not take the new configuration"
    if not acted.workers and not new:
        return True, f"same process {main.pid if main else step.before}, its workers are not visible"
    return True, f"same process {main.pid if main else step.before}, {new} new workers" + (
        f", {old} old finishing" if old else ""
    )


def _holds_ports(host: HostSnapshot, acted: Acted, identity: Identity) -> tuple[bool, str]:
    if identity.pid is None:
        return False, "no process"
    seen: list[str] = []
    for number in sorted(acted.ports):
        holders = [entry for entry in host.listeners if entry.port == number]
        if not holders:
            return False, f"port {number} is closed"
        known = [h for h in holders if h.pid and h.how == "owner"]
        own = [h for h in known if h.pid and descends(h.pid, identity.pid, host.processes)]
        foreign = [h for h in known if h not in own and not apart(h, own)]
        if foreign:
            return False, f"port {number} is held by {_holder(foreign[0])}, not by pid {identity.pid}"
        seen.append(f"{number} by pid {own[0].pid}" if own else f"{number} (owner not visible)")
    return True, "listens on " + ", ".join(seen) if seen else "holds no port"


def _holder(listener: Listener) -> str:
    if listener.pid is None:
        return f"a process of {listener.user}"
    return f"pid {listener.pid} ({listener.process})"


async def _answers(port: EnginePort, step: Step) -> tuple[bool, str]:
    container = step.unit if step.manager == CONTAINERS else ""
    try:
        answers = await port.check_health(step.host, step.component, container=container)
    except EdxconsoleError as error:
        return False, str(error)
    bad = [a for a in answers if a.state is not State.UP]
    if bad:
        return False, bad[0].text
    if not answers:
        return False, "nothing of it is seen to run yet that could be asked"
    return True, "; ".join(a.text for a in answers)
