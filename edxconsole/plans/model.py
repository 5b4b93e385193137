"""Plans: the only way a host is changed. A single restart is a plan of one step.

States and rules: docs/architecture.md and `services.md` section 4.3.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum

from edxconsole.cluster.units import Identity
from edxconsole.services.base import Verb


class PlanState(StrEnum):
    """Where a plan stands."""

    DRAFT = "draft"
    PREFLIGHT = "preflight"
    BLOCKED = "blocked"
    READY = "ready"
    RUNNING = "running"
    HALTED = "halted"
    DONE = "done"
    ABORTED = "aborted"


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    PRECHECK = "precheck"
    ACT = "act"
    SETTLE = "settle"
    GATE = "gate"
    OK = "ok"
    PRECHECK_FAILED = "precheck-failed"
    ACT_FAILED = "act-failed"
    GATE_FAILED = "gate-failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class GateLevel(StrEnum):
    """What a gate proves. L0 manager state and new identity; L1 its own descendant listens;
    L2 the protocol answers on its own port."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate of a step, before it is tried."""

    level: GateLevel
    text: str
    """what must hold, in words"""


@dataclass(frozen=True, slots=True)
class GateResult:
    """A gate after it was tried: the evidence is the first bytes of the answer, or the reason."""

    level: GateLevel
    passed: bool
    evidence: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """One change to one unit on one host, frozen when the plan is READY."""

    host: str
    manager: str
    unit: str
    component: str
    verb: Verb
    before: Identity
    command: str
    """exactly what will be done, as shown"""
    method: str
    """"manager" or "hup-master" (see catalog.model.ActionSpec.method)"""
    preflight: tuple[str, ...]
    gates: tuple[Gate, ...]
    deadline: float
    gate_deadline: float
    warning: str = ""
    master: Identity = field(default_factory=Identity)
    """hup-master only: the process that gets the signal, by /proc pid and start"""
    any_run: bool = False
    """STOP and RESTART of what restarts by itself: meant for whatever run it is in, as `meant_for` shows"""

    @property
    def meant_for(self) -> str:
        """Which run of the unit this is confirmed for, as shown to the operator."""
        if self.any_run:
            return f"whatever run it is in then ({self.before} now): it restarted moments ago and may again"
        return f"{self.before}; anything else at that moment stops it"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be changed, in order. `digest` is what the confirmation signs."""

    id: str
    cluster: str
    environment: str
    verb: Verb
    selector: str
    steps: tuple[Step, ...]
    created: float
    reason: str = ""

    @property
    def digest(self) -> str:
        """sha256 over everything that decides what will happen."""
        body = [
            [
                s.host,
                s.manager,
                s.unit,
                s.verb,
                str(s.before),
                s.command,
                s.method,
                s.preflight,
                str(s.master),
                s.any_run,
            ]
            for s in self.steps
        ]
        text = json.dumps([self.environment, self.verb, self.selector, body], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s.host for s in self.steps))


@dataclass(frozen=True, slots=True)
class PlanEvent:
    """One thing that happened while a plan ran, for screens, --json and the journal."""

    plan: str
    step: int | None
    at: float
    state: PlanState | StepState
    text: str
    gate: GateResult | None = None
    after: Identity = field(default_factory=Identity)
