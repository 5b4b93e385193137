"""Components in containers: what Docker says of them counts, the host's ports and processes don't."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import Age, Evidence, HostSnapshot, Instance, State
from edxconsole.cluster.store import HostStore
from edxconsole.cluster.units import ContainerFacts, Identity, Unit, UnitHealth
from tests.unit.cluster.frames_for_tests import (
    GUNICORN,
    T0,
    hello,
    listener,
    listeners,
    process,
    processes,
    standing,
    store,
)


@pytest.fixture(autouse=True)
def at_t0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: T0)


def unit(service: str, health: UnitHealth = UnitHealth.RUNNING, project: str = "tutor_local") -> Unit:
    runs = health in (UnitHealth.RUNNING, UnitHealth.STARTING)
    identity = Identity(70, 5, "a" * 64) if runs else Identity(invocation="a" * 64)
    return Unit(
        "docker", f"{project}:{service}", health.value, health, identity, since=T0 - 500, aliases=(service,)
    )


def tutor(*units: Unit) -> HostStore:
    """A host where gunicorn runs in a container, and something of the host itself listens on 8000."""
    made = store()
    made.apply(hello(), 1.0)
    inside = process(70, *GUNICORN, contained=True)
    stranger = process(80, "/usr/bin/other")
    made.apply(processes(inside, stranger), 1.0)
    made.apply(listeners(listener(8000, 80)), 1.0)
    made.set_units("docker", units, at=T0, seen=1.0)
    return made


def shown(made: HostStore, lost: str = "") -> HostSnapshot:
    made.recompute()
    return made.build(standing(), lost=lost)


def of(made: HostStore, component: str = "lms") -> Instance | None:
    return next((i for i in shown(made).instances if i.component == component), None)


def answered(made: HostStore, state: State, text: str, where: str = "tutor_local:lms") -> HostStore:
    made.set_health("lms", f"heartbeat in {where}", Evidence("health", text, state, Age(T0, 1.0)))
    return made


def test_a_container_is_an_instance_though_its_ports_and_workers_are_not_the_hosts() -> None:
    made = tutor(unit("lms"))
    lms = of(made)
    assert lms is not None
    assert (lms.state, lms.reason) == (State.UNKNOWN, "heartbeat in tutor_local:lms not checked yet")
    assert lms.units == ("docker/tutor_local:lms",)
    assert (lms.pids, lms.ports, lms.workers_expected, lms.workers_found) == ((70,), (), None, None)
    assert [e.source for e in lms.evidence] == ["docker", "health"]
    assert contained(shown(made), lms)


@pytest.mark.parametrize("state", [State.UP, State.DEGRADED, State.DOWN, State.UNKNOWN])
def test_a_container_is_what_it_answers(state: State) -> None:
    lms = of(answered(tutor(unit("lms")), state, "heartbeat in tutor_local:lms: so it is"))
    assert lms is not None
    assert lms.state is state
    assert [(e.source, e.state) for e in lms.evidence] == [("docker", State.UP), ("health", state)]


def test_each_of_several_containers_is_asked_and_one_that_is_not_well_shows() -> None:
    made = tutor(unit("lms"), replace(unit("lms"), name="tutor_local:lms-2"))
    answered(made, State.UP, "fine")
    lms = of(answered(made, State.DEGRADED, "sql false", "tutor_local:lms-2"))
    assert lms is not None
    assert (lms.state, lms.reason) == (State.DEGRADED, "sql false")


@pytest.mark.parametrize(
    ("health", "state"),
    [
        (UnitHealth.FAILED, State.DOWN),
        (UnitHealth.STOPPED, State.DOWN),
        (UnitHealth.STARTING, State.DEGRADED),
        (UnitHealth.UNKNOWN, State.UNKNOWN),
    ],
)
def test_what_docker_says_is_what_it_is(health: UnitHealth, state: State) -> None:
    lms = of(tutor(unit("lms", health)))
    assert lms is not None
    assert lms.state is state


def test_a_container_that_checks_itself_is_up_while_it_is_well() -> None:
    """What can't be asked from its host is asked by Docker; what can be asked must answer as well."""
    well = replace(unit("lms"), word="running (healthy)")
    lms = of(answered(tutor(well), State.UNKNOWN, "heartbeat in tutor_local:lms: can't be asked"))
    assert lms is not None
    assert (lms.state, lms.reason) == (State.UP, "tutor_local:lms running (healthy), pid 70")
    assert lms.evidence[-1].text.startswith("well by its container's own check; heartbeat")
    lms = of(answered(tutor(well), State.DEGRADED, "heartbeat in tutor_local:lms: sql false"))
    assert lms is not None
    assert lms.state is State.DEGRADED


def test_what_has_no_check_is_up_on_the_word_of_docker() -> None:
    worker = of(tutor(unit("lms-worker")), "edxapp_worker")
    assert worker is not None
    assert worker.state is State.UP


def test_one_of_several_down_is_degraded() -> None:
    second = replace(unit("lms", UnitHealth.FAILED), name="tutor_local:lms-2")
    lms = of(tutor(unit("lms"), second))
    assert lms is not None
    assert lms.state is State.DEGRADED
    assert "1 of 2 down: tutor_local:lms-2" in lms.reason


def test_a_stopped_project_beside_one_that_runs_does_not_count() -> None:
    lms = of(tutor(unit("lms", UnitHealth.STOPPED, project="tutor_dev"), unit("lms")))
    assert lms is not None
    assert "tutor_local:lms running" in lms.evidence[0].text
    alone = of(tutor(unit("lms", UnitHealth.STOPPED, project="tutor_dev")))
    assert alone is not None
    assert alone.state is State.DOWN


def test_one_that_docker_restarts_again_and_again_is_not_well_while_it_runs_for_a_moment() -> None:
    facts = ContainerFacts("a" * 12, "openedx", "running", restarts=5, policy="unless-stopped")
    made = tutor(replace(unit("lms-worker"), container=facts, since=T0 - 2))
    worker = of(made, "edxapp_worker")
    assert worker is not None
    assert worker.state is State.DEGRADED
    assert "starting again: Docker has restarted tutor_local:lms-worker 5 times" in worker.reason
    made.set_units("docker", [replace(unit("lms-worker"), container=facts, since=T0 - 60)], at=T0, seen=1.0)
    worker = of(made, "edxapp_worker")
    assert worker is not None
    assert worker.state is State.UP, "it has run for a minute since"


def test_a_container_that_is_gone_is_missed() -> None:
    made = tutor(unit("lms"))
    shown(made)
    made.set_units("docker", (), at=T0, seen=2.0)
    lms = of(made)
    assert lms is not None
    assert (lms.state, lms.reason) == (State.DOWN, "gone: none of its processes is left")


def test_processes_of_the_host_itself_are_judged_as_ever() -> None:
    made = tutor(unit("lms"))
    made.apply(processes(process(70, *GUNICORN, contained=True), process(90, *GUNICORN)), 2.0)
    made.apply(listeners(listener(8000, 90)), 2.0)
    lms = of(made)
    assert lms is not None
    assert lms.ports == (8000,)
    assert lms.reason.endswith("heartbeat not checked yet")
    assert not contained(shown(made), lms)


def test_a_lost_host_shows_nothing_of_it_as_up() -> None:
    made = tutor(unit("lms"))
    shown(made)
    (lms,) = shown(made, lost="the host is lost").instances
    assert lms.state is State.UNKNOWN
