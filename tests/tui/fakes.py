"""An engine for screens: publishes what a test gives it and records what it is asked. Tests only."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import Age, ClusterSnapshot, Evidence, State
from edxconsole.cluster.units import Identity
from edxconsole.errors import EdxconsoleError, UsageError
from edxconsole.health.asked import Asked
from edxconsole.health.checks import checks_there
from edxconsole.inspect.model import Inspection
from edxconsole.inventory.model import Inventory
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from edxconsole.plans.model import Gate, GateLevel, GateResult, Plan, PlanEvent, PlanState, Step, StepState
from edxconsole.services.base import Capabilities, Verb
from screens.bridge import Bridge
from screens.console import EdxConsole
from tests.tui import inspections, snapshots
from widgets.clock import Clock

if TYPE_CHECKING:
    from edxconsole.engine import Engine

T = TypeVar("T")


class StoppedClock(Clock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return snapshots.NOW + self.passed

    def monotonic(self) -> float:
        return snapshots.MONO + self.passed


class FakeEngine:
    """Has the methods of Engine that screens call."""

    def __init__(self, inventory: Inventory, catalog: Catalog, snapshot: ClusterSnapshot) -> None:
        self.inventory = inventory
        self.catalog = catalog
        self.snapshot = snapshot
        self.armed_until: float | None = None
        self.clock: Clock = StoppedClock()
        self.wake: Callable[[], None] = lambda: None
        self.drafts: list[tuple[Verb, str]] = []
        self.runs: list[Plan] = []
        self.follows: list[list[LogSource]] = []
        self.feeds: list[LogFeed] = []
        self.reconnects: list[str] = []
        self.draft_error: EdxconsoleError | None = None
        self.run_error: EdxconsoleError | None = None
        self.missing: dict[Verb, str] = {}
        self.inspected: list[tuple[str, str]] = []
        self.answers: dict[str, Inspection | Exception] = {"nginx": inspections.NGINX, "lms": inspections.LMS}
        self.release: asyncio.Event | None = None
        """while it is there and not set, inspections wait for it"""
        self.left = 0
        """inspections that were cancelled"""
        self.checked: list[str] = []
        """host/check of what was asked, in order"""
        self.health: dict[str, tuple[State, str, float] | Exception] = {}
        """host/check -> state, text, seconds it took; up when it is not there"""
        self.gates: dict[str, asyncio.Event] = {}
        """host, or host/check -> the answer waits for it"""
        self.unasked: list[str] = []
        """host/check of what was cancelled"""

    def health_checks(self, host: str, component: str) -> tuple[Check, ...]:
        return checks_there(self.snapshot.hosts[host], self.catalog, component)

    async def ask_check(self, host: str, component: str, check: Check) -> Asked:
        key = f"{host}/{check.name}"
        self.checked.append(key)
        try:
            for gate in (self.gates.get(host), self.gates.get(key)):
                if gate is not None:
                    await gate.wait()
        except asyncio.CancelledError:
            self.unasked.append(key)
            raise
        answer = self.health.get(key, (State.UP, f"{check.spec.path} answers 200", 0.041))
        if isinstance(answer, Exception):
            raise answer
        state, text, took = answer
        age = Age(self.clock.now(), self.clock.monotonic())
        every = None if check.spec.on_demand else check.spec.every
        return Asked(check, Evidence("health", f"{check.name}: {text}", state, age, every), text, took)

    async def inspect(self, host: str, component: str) -> Inspection:
        self.inspected.append((host, component))
        try:
            if self.release is not None:
                await self.release.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        answer = self.answers.get(component)
        if answer is None:
            raise UsageError(f"{component} has no inspector", remedy="there are those of lms, nginx")
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, host=host, component=component, at=self.clock.now())

    @property
    def holds(self) -> bool:
        gates = [*self.gates.values(), *([self.release] if self.release is not None else [])]
        return any(not gate.is_set() for gate in gates)

    def publish(self, snapshot: ClusterSnapshot) -> None:
        self.snapshot = snapshot
        self.wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        self.wake = wake
        return lambda: None

    def arm(self, seconds: float) -> None:
        self.armed_until = self.clock.monotonic() + seconds

    def disarm(self) -> None:
        self.armed_until = None

    def reconnect(self, host: str) -> None:
        self.reconnects.append(host)

    async def capabilities(self, host: str) -> dict[str, Capabilities]:
        verbs = frozenset(Verb) - set(self.missing)
        return {snapshots.SOCK: Capabilities("3.2.3", verbs, "sudo -u supervisor relay", self.missing)}

    def log_sources(self, hosts: Iterable[str], components: Iterable[str] | None = None) -> list[LogSource]:
        wanted = None if components is None else set(components)
        return [
            LogSource(host, f"/edx/var/log/supervisor/{i.component}-stderr.log", i.component, i.component)
            for host in hosts
            for i in self.snapshot.hosts[host].instances
            if wanted is None or i.component in wanted
        ]

    async def follow(
        self, sources: Sequence[LogSource], feed: LogFeed, *, last_lines: int = 100
    ) -> Callable[[], None]:
        self.follows.append(list(sources))
        self.feeds.append(feed)
        for n, source in enumerate(sources):
            lines = "".join(
                f"2026-11-23 09:41:{s:02d},{n:03d} {'ERROR' if s % 7 == 3 else 'INFO'} 42 "
                f"[lms.djangoapps.courseware] views.py:{s} - request {s} took 0.0{s} s\n"
                for s in range(5)
            )
            feed.put(LogBatch(source, snapshots.NOW, mark="start"))
            feed.put(LogBatch(source, snapshots.NOW, lines))
        return lambda: None

    async def draft(self, verb: Verb, selector: str, *, reason: str = "") -> Plan:
        self.drafts.append((verb, selector))
        if self.draft_error is not None:
            raise self.draft_error
        what, _, host = selector.partition("@")
        return plan(verb, selector, what.partition(":")[0], host or "app1", self.inventory)

    async def run_plan(
        self, plan: Plan, *, confirmation: str, on_event: Callable[[PlanEvent], None]
    ) -> PlanState:
        assert confirmation == plan.digest
        self.runs.append(plan)
        if self.run_error is not None:
            on_event(PlanEvent(plan.id, 0, self.clock.now(), StepState.PRECHECK_FAILED, str(self.run_error)))
            raise self.run_error
        after = Identity(pid=5151, start=2000)
        at = self.clock.now()
        on_event(PlanEvent(plan.id, 0, at, StepState.ACT, "restarting"))
        gate = GateResult(GateLevel.L2, True, "HTTP 200 in 38 ms", 38.0)
        on_event(PlanEvent(plan.id, 0, at, StepState.GATE, "heartbeat", gate))
        on_event(PlanEvent(plan.id, 0, at, StepState.OK, "healthy again", after=after))
        on_event(PlanEvent(plan.id, None, at, PlanState.DONE, "1 step done"))
        return PlanState.DONE


def plan(verb: Verb, selector: str, component: str, host: str, inventory: Inventory) -> Plan:
    step = Step(
        host=host,
        manager=snapshots.SOCK,
        unit=component,
        component=component,
        verb=verb,
        before=Identity(pid=4242, start=1000),
        command=f"supervisor.stopProcess('{component}', wait=False); startProcess('{component}')",
        method="manager",
        preflight=(),
        gates=(
            Gate(GateLevel.L0, "RUNNING with a new pid"),
            Gate(GateLevel.L1, "its own process listens on 8000"),
            Gate(GateLevel.L2, "GET /heartbeat answers 200"),
        ),
        deadline=60,
        gate_deadline=120,
        warning="Requests in flight are cut off.",
    )
    return Plan("p-1", inventory.cluster, inventory.environment.value, verb, selector, (step,), snapshots.NOW)


class FakeHandle:
    """EngineThread's shape, in the test's own loop."""

    def __init__(self, engine: FakeEngine) -> None:
        self.fake = engine
        self.stopped = False

    def start(self) -> None:
        return

    @property
    def engine(self) -> Engine:
        return cast("Engine", self.fake)

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        task = asyncio.ensure_future(work)

        def finish(ended: asyncio.Task[T]) -> None:
            if done.cancelled() or ended.cancelled():
                done.cancel()
                return
            error = ended.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(ended.result())

        def left(given_up: concurrent.futures.Future[T]) -> None:
            if given_up.cancelled():
                task.cancel()

        task.add_done_callback(finish)
        done.add_done_callback(left)
        return done

    def stop(self, timeout: float = 5.0) -> None:
        self.stopped = True


def make_app(
    snapshot: ClusterSnapshot | None = None,
    *,
    ascii_only: bool = False,
    read_only: bool = False,
    notice: str = "",
    **options: Any,
) -> tuple[EdxConsole, FakeEngine]:
    """The console on a fake engine, with the clock stopped."""
    snapshot = snapshot or snapshots.cluster()
    inventory = snapshots.inventory(type_of(snapshot), names=tuple(snapshot.hosts))
    engine = FakeEngine(inventory, snapshots.catalog(), snapshot)
    bridge = Bridge(FakeHandle(engine), inventory, engine.clock, read_only=read_only, notice=notice)
    return EdxConsole(bridge, ascii_only=ascii_only, **options), engine


def type_of(snapshot: ClusterSnapshot) -> Any:
    from edxconsole.inventory.model import Environment

    return Environment(snapshot.environment)
