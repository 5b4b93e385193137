"""Gates on synthetic snapshots: a false green is worse than none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest

from edxconsole.catalog.model import Catalog, Component, HealthSpec, ListenerSpec
from edxconsole.cluster.model import (
    Age,
    ClusterSnapshot,
    Evidence,
    HostSnapshot,
    Link,
    Listener,
    Process,
    State,
)
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.inventory.model import Inventory
from edxconsole.plans.gates import Acted, before_act, try_gates
from edxconsole.plans.model import Gate, GateLevel, Step
from edxconsole.services.base import ServiceManager, Verb
from edxconsole.transport.base import Transport

LMS = Component(
    id="lms",
    title="LMS",
    what="serves courses",
    breaks="nobody can learn",
    listeners=(ListenerSpec(name="gunicorn", port=8000),),
    health=(HealthSpec(name="heartbeat", kind="http", port=8000, path="/heartbeat"),),
)
ALL_GATES = tuple(Gate(level, "") for level in GateLevel)


def process(pid: int, ppid: int = 1, start: int = 100) -> Process:
    return Process(pid, start, 0.0, ppid, 33, "www-data", "gunicorn", ("gunicorn",), "S", 0.0, 1000, 1)


def listener(port: int, pid: int | None) -> Listener:
    return Listener("tcp", "127.0.0.1", port, "www-data", pid, "owner" if pid else "none", "gunicorn", "lms")


def host(processes: Sequence[Process], listeners: Sequence[Listener]) -> HostSnapshot:
    return HostSnapshot(
        "app1", 1, Link.LIVE, "", 0.0, processes={p.pid: p for p in processes}, listeners=tuple(listeners)
    )


def unit(pid: int | None, health: UnitHealth = UnitHealth.RUNNING, word: str = "RUNNING") -> Unit:
    return Unit("supervisor:/s", "lms", word, health, Identity(pid, 5) if pid else Identity())


def step(verb: Verb, before: Identity, gates: tuple[Gate, ...] = ALL_GATES, method: str = "manager") -> Step:
    master = before if method == "hup-master" else Identity()
    return Step(
        "app1", "supervisor:/s", "lms", "lms", verb, before, "cmd", method, (), gates, 10, 10, "", master
    )


@dataclass
class Port:
    """The engine as far as gates see it."""

    host: HostSnapshot
    unit: Unit
    answers: tuple[Evidence, ...] = ()
    catalog: Catalog = field(default_factory=lambda: Catalog(components={"lms": LMS}))
    inventory: Inventory = field(default_factory=lambda: Inventory(hosts={}))

    @property
    def snapshot(self) -> ClusterSnapshot:
        return ClusterSnapshot(1, "c", "development", {"app1": self.host}, ())

    def manager(self, host: str, manager: str) -> ServiceManager:
        async def observe(name: str) -> Unit:
            return self.unit

        return cast(ServiceManager, SimpleNamespace(observe=observe))

    def transport(self, host: str) -> Transport:
        raise AssertionError("gates run no commands")

    async def check_health(self, host: str, component: str, *, container: str = "") -> tuple[Evidence, ...]:
        return self.answers


def answer(state: State, text: str) -> Evidence:
    return Evidence("health", text, state, Age(0, 0))


OLD, NEW = Identity(10, 5), Identity(20, 5)
BEFORE = Acted(0.0, frozenset({8000}), frozenset())
GOOD = (answer(State.UP, "200 OK"),)


async def verdicts(port: Port, a_step: Step, acted: Acted = BEFORE) -> list[tuple[str, bool]]:
    results, _ = await try_gates(port, a_step, acted)
    return [(r.level.value, r.passed) for r in results]


async def test_a_restart_that_came_back_passes_all() -> None:
    port = Port(host([process(20), process(21, 20)], [listener(8000, 21)]), unit(20), GOOD)
    assert await verdicts(port, step(Verb.RESTART, OLD)) == [("L0", True), ("L1", True), ("L2", True)]


async def test_the_old_process_still_running_is_not_a_restart() -> None:
    port = Port(host([process(10)], [listener(8000, 10)]), unit(10), GOOD)
    assert await verdicts(port, step(Verb.RESTART, OLD)) == [("L0", False)]


async def test_an_orphan_holding_the_port_fails_l1_and_is_named() -> None:
    port = Port(host([process(20), process(99)], [listener(8000, 99)]), unit(20), GOOD)
    results, _ = await try_gates(port, step(Verb.RESTART, OLD), BEFORE)
    assert [(r.level.value, r.passed) for r in results] == [("L0", True), ("L1", False)]
    assert "held by pid 99 (gunicorn), not by pid 20" in results[-1].evidence


@pytest.mark.parametrize(
    ("own", "other", "passed"),
    [
        ("127.0.0.21", "127.0.0.22", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "0.0.0.0", False),
        ("::", "127.0.0.1", False),
    ],
)
async def test_another_program_may_have_the_port_at_another_address(
    own: str, other: str, passed: bool
) -> None:
    listeners = [replace(listener(8000, 99), address=other), replace(listener(8000, 20), address=own)]
    port = Port(host([process(20), process(99)], listeners), unit(20), GOOD)
    results, _ = await try_gates(port, step(Verb.RESTART, OLD), BEFORE)
    assert (results[1].level.value, results[1].passed) == ("L1", passed)
    assert ("by pid 20" if passed else "held by pid 99") in results[1].evidence


async def test_a_closed_port_fails_l1() -> None:
    port = Port(host([process(20)], []), unit(20), GOOD)
    assert await verdicts(port, step(Verb.RESTART, OLD)) == [("L0", True), ("L1", False)]


async def test_an_invisible_owner_passes_l1_but_says_so() -> None:
    port = Port(host([process(20)], [listener(8000, None)]), unit(20), GOOD)
    results, _ = await try_gates(port, step(Verb.RESTART, OLD), BEFORE)
    assert results[1].passed
    assert "owner not visible" in results[1].evidence


async def test_a_bad_answer_fails_l2_with_its_words() -> None:
    bad = (answer(State.DOWN, "503, sql: can't connect"),)
    port = Port(host([process(20)], [listener(8000, 20)]), unit(20), bad)
    results, _ = await try_gates(port, step(Verb.RESTART, OLD), BEFORE)
    assert (results[-1].level, results[-1].passed) == (GateLevel.L2, False)
    assert results[-1].evidence == "503, sql: can't connect"


@pytest.mark.parametrize("state", [State.UNKNOWN, State.DEGRADED, State.ABSENT])
async def test_unknown_health_is_not_a_pass(state: State) -> None:
    port = Port(host([process(20)], [listener(8000, 20)]), unit(20), (answer(state, "?"),))
    assert (await verdicts(port, step(Verb.RESTART, OLD)))[-1] == ("L2", False)


async def test_backoff_fails_l0_with_the_spawn_error() -> None:
    broken = replace(unit(None, UnitHealth.FAILED, "BACKOFF"), detail="Exited too quickly")
    results, _ = await try_gates(Port(host([], []), broken), step(Verb.START, Identity()), BEFORE)
    assert not results[0].passed
    assert "BACKOFF: Exited too quickly" in results[0].evidence


async def test_stop_needs_the_port_closed_too() -> None:
    stopped = unit(None, UnitHealth.STOPPED, "STOPPED")
    gate = (Gate(GateLevel.L0, ""),)
    held = Port(host([process(99)], [listener(8000, 99)]), stopped)
    assert await verdicts(held, step(Verb.STOP, OLD, gate)) == [("L0", False)]
    closed = Port(host([], []), stopped)
    assert await verdicts(closed, step(Verb.STOP, OLD, gate)) == [("L0", True)]


async def test_reload_by_hup_needs_the_same_master_and_only_new_workers() -> None:
    gate = (Gate(GateLevel.L0, ""),)
    master = process(10, 1, 5)
    a_step = step(Verb.RELOAD, Identity(10, 5), gate, "hup-master")
    before = host([master, process(11, 10, 50), process(12, 10, 50)], [listener(8000, 10)])
    acted = before_act(before, a_step, unit(10), LMS)
    assert acted.ports == {8000}
    assert len(acted.workers) == 2
    half = Port(host([master, process(11, 10, 50), process(12, 10, 50), process(13, 10, 90)], []), unit(10))
    assert await verdicts(half, a_step, acted) == [("L0", False)]
    done = Port(host([master, process(13, 10, 90), process(14, 10, 90)], []), unit(10))
    assert await verdicts(done, a_step, acted) == [("L0", True)]
    unchanged = Port(before, unit(10))
    assert await verdicts(unchanged, a_step, acted) == [("L0", False)]
    gone = Port(host([process(30, 1, 99)], []), unit(30))
    assert await verdicts(gone, a_step, acted) == [("L0", False)]


async def test_ports_that_must_come_back_are_the_catalogs_when_none_was_held() -> None:
    assert before_act(host([], []), step(Verb.START, Identity()), unit(None), LMS).ports == {8000}
    inside = replace(unit(None), manager="docker")
    assert before_act(host([], []), step(Verb.START, Identity()), inside, LMS).ports == frozenset()


async def test_what_can_not_be_asked_yet_has_not_passed() -> None:
    """Just after an act nothing of it may be seen to run: no answer is no good answer."""
    port = Port(host([process(20)], [listener(8000, 20)]), unit(20))
    results, _ = await try_gates(port, step(Verb.RESTART, OLD), BEFORE)
    assert (results[-1].level, results[-1].passed) == (GateLevel.L2, False)
    assert "nothing of it is seen to run yet" in results[-1].evidence
