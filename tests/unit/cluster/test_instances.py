"""What is said of a component, from what was seen of it."""

from __future__ import annotations

import time

import pytest

from edxconsole.cluster.listening import descends
from edxconsole.cluster.model import Age, Evidence, HostSnapshot, Instance, State
from edxconsole.cluster.store import History, HostStore
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.cluster.workers import expected_workers
from tests.unit.cluster.frames_for_tests import (
    CATALOG,
    GUNICORN,
    T0,
    hello,
    listener,
    listeners,
    lms_host,
    process,
    processes,
    program,
    standing,
    store,
    supervisor,
)


@pytest.fixture(autouse=True)
def at_t0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: T0)


def answer(made: HostStore, state: State, text: str, *, at: float = T0) -> None:
    made.set_health("lms", "heartbeat", Evidence("health", text, state, Age(at, 1.0)))


def of(made: HostStore, component: str = "lms", lost: str = "") -> Instance:
    return next(i for i in shown(made, lost).instances if i.component == component)


def shown(made: HostStore, lost: str = "") -> HostSnapshot:
    made.recompute()
    return made.build(standing(), lost=lost)


def test_running_alone_is_not_up_before_it_was_checked() -> None:
    lms = of(lms_host())
    assert (lms.state, lms.reason) == (State.UNKNOWN, "heartbeat not checked yet")


def test_running_listening_and_answering_is_up() -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200")
    lms = of(made)
    assert lms.state is State.UP
    assert [e.source for e in lms.evidence] == ["supervisor", "listener", "health"]
    assert (lms.pids, lms.ports, lms.workers_expected, lms.workers_found) == ((30, 31, 32), (8000,), 8, 2)
    assert lms.since == T0 - 500


@pytest.mark.parametrize("state", [State.DEGRADED, State.DOWN])
def test_running_that_fails_its_check_is_not_up(state: State) -> None:
    made = lms_host()
    answer(made, state, "heartbeat: sql false")
    assert (of(made).state, of(made).reason) == (state, "heartbeat: sql false")


def test_a_failing_check_right_after_a_start_means_starting() -> None:
    made = lms_host(start=T0 - 5)
    answer(made, State.DOWN, "nothing listens on 127.0.0.1:8000")
    assert (of(made).state, of(made).reason) == (
        State.DEGRADED, "starting: nothing listens on 127.0.0.1:8000",
    )  # fmt: skip


def test_an_answer_that_got_too_old_is_unknown() -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200", at=T0 - 60)
    assert of(made).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("word", "state"),
    [("STOPPED", State.DOWN), ("FATAL", State.DOWN), ("BACKOFF", State.DOWN), ("EXITED", State.DOWN),
     ("STARTING", State.DEGRADED), ("STOPPING", State.DEGRADED)],
)  # fmt: skip
def test_what_supervisor_says_counts(word: str, state: State) -> None:
    made = lms_host(state=word)
    answer(made, State.UP, "heartbeat: 200")
    assert of(made).state is state
    assert of(made).reason == f"lms {word}" + (": exit status 0" if word == "EXITED" else "")


def test_one_of_several_programs_down_is_degraded_and_named() -> None:
    made = store()
    made.apply(hello(), 1.0)
    made.apply(processes(process(1, "init")), 1.0)
    rows = [program(n, "RUNNING", 40 + i, group="edxapp_worker") for i, n in enumerate(("a", "b"))]
    dead = program("c", "FATAL", group="edxapp_worker", spawnerr="can't find command")
    made.apply(supervisor(*rows, dead), 1.0)
    worker = of(made, "edxapp_worker")
    assert (worker.state, worker.reason) == (
        State.DEGRADED, "1 of 3 down: edxapp_worker:c FATAL: can't find command",
    )  # fmt: skip


def test_exited_is_no_alarm_where_it_is_normal() -> None:
    made = lms_host()
    made.apply(supervisor(program("xqueue_consumer", "EXITED"), full=False), 1.0)
    assert of(made, "xqueue_consumer").state is State.UP


def test_of_all_that_the_catalog_knows_only_what_is_here_or_expected_is_shown() -> None:
    assert [i.component for i in shown(lms_host()).instances] == ["lms", "supervisor"]
    expecting = store(expected=frozenset({"flower"}))
    expecting.apply(hello(), 1.0)
    (flower,) = shown(expecting).instances
    assert (flower.component, flower.state) == ("flower", State.ABSENT)


def test_what_ends_by_itself_and_is_gone_without_a_manager_s_word_is_unknown_not_down() -> None:
    made = store()
    made.apply(hello(), 1.0)
    consumer = process(70, "/venv/bin/python", "/venv/bin/django-admin.py", "run_consumer")
    made.apply(processes(consumer), 1.0)
    assert of(made, "xqueue_consumer").state is State.UP
    made.apply(processes(full=False, gone=(70,)), 2.0)
    gone = of(made, "xqueue_consumer")
    assert (gone.state, gone.reason) == (State.UNKNOWN, "ended, which is normal for it; no manager says how")


def test_how_many_workers_are_usual_is_in_the_names_of_the_programs_that_run() -> None:
    made = store()
    made.apply(hello(), 1.0)
    argv = ("/venv/bin/python", "manage.py", "lms", "celery", "worker", "--queues=edx.lms.core.default")
    rows = [process(40, *argv), process(41, *argv, ppid=40), process(42, *argv, ppid=40)]
    made.apply(processes(*rows), 1.0)
    named = [program(f"lms_{q}", "RUNNING", 40 + i, group="edxapp_worker") for i, q in ((0, "default_3"),)]
    stopped = program("cms_high_mem_2", "STOPPED", group="edxapp_worker")
    made.apply(supervisor(*named, stopped), 1.0)
    worker = of(made, "edxapp_worker")
    assert (worker.workers_expected, worker.workers_found) == (3, 2)


@pytest.mark.parametrize("pool", [("--pool=solo",), ("-P", "solo"), ("--pool", "solo")])
def test_a_worker_that_does_its_tasks_itself_is_one(pool: tuple[str, ...]) -> None:
    made = store()
    made.apply(hello(), 1.0)
    argv = ("/venv/bin/python", "manage.py", "lms", "celery", "worker", "--queues=edx.lms.core.default")
    made.apply(processes(process(40, *argv, *pool), process(41, *argv, "-P", "prefork")), 1.0)
    assert of(made, "edxapp_worker").workers_found == 1


def test_a_crash_loop_is_seen_behind_running() -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200")
    for number in range(1, 6):
        again = program("lms", "RUNNING", 60 + number, start=T0 - 500 + number * 8)
        made.apply(supervisor(again, full=False, t=T0 - 40 + number * 8), 1.0)
    assert (of(made).state, of(made).reason) == (State.DEGRADED, "lms restarted 5 times in 30 s")


def test_two_restarts_by_an_operator_are_no_crash_loop() -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200")
    for number in (1, 2):
        again = program("lms", "RUNNING", 60 + number, start=T0 - 500 + number)
        made.apply(supervisor(again, full=False, t=T0 - 10 + number), 1.0)
    assert of(made).state is State.UP


def test_a_crash_loop_is_forgotten_after_a_quiet_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200")
    for number in range(1, 6):
        again = program("lms", "RUNNING", 60 + number, start=T0 - 500 + number)
        made.apply(supervisor(again, full=False, t=T0 + number), 1.0)
    assert made.time_matters
    assert of(made).state is State.DEGRADED
    monkeypatch.setattr(time, "time", lambda: T0 + 70)
    answer(made, State.UP, "heartbeat: 200", at=T0 + 69)
    assert of(made).state is State.UP
    assert not made.time_matters


def test_an_orphan_on_the_port_is_named() -> None:
    made = lms_host(pid=50, start=T0 - 3)
    orphan = process(30, *GUNICORN, ppid=1)
    made.apply(processes(process(50, "/bin/bash", "lms.sh", ppid=20), orphan, full=False), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    lms = of(made)
    assert (lms.state, lms.reason) == (State.DEGRADED, "port 8000 is held by pid 30 (python), not by lms")


def test_what_listens_at_another_address_is_no_orphan() -> None:
    made = lms_host(pid=50, start=T0 - 3)
    stranger = process(30, *GUNICORN, ppid=1)
    made.apply(processes(process(50, *GUNICORN, ppid=20), stranger, full=False), 1.0)
    rows = [listener(8000, 30, address="127.0.0.22"), listener(8000, 50, address="127.0.0.21")]
    made.apply(listeners(*rows), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    assert of(made).state is State.UP
    rows[0] = listener(8000, 30, address="0.0.0.0")
    made.apply(listeners(*rows), 1.1)
    assert of(made).reason == "port 8000 is held by pid 30 (python), not by lms"


def test_a_port_taken_while_the_program_is_stopped_is_named() -> None:
    made = lms_host(state="FATAL", pid=0)
    made.apply(processes(process(30, *GUNICORN, ppid=1), full=False), 1.0)
    assert of(made).state is State.DOWN
    assert of(made).reason.startswith("port 8000 is held by pid 30")


def test_the_last_run_is_no_orphan_while_the_process_table_still_has_it() -> None:
    made = lms_host(state="BACKOFF", pid=0)
    assert "held by" not in of(made).reason


def test_another_program_of_the_same_supervisord_on_the_port_is_named() -> None:
    made = lms_host(pid=50)
    made.apply(processes(process(50, *GUNICORN, ppid=20), full=False), 1.0)
    made.apply(supervisor(program("other", "RUNNING", 30), full=False), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    assert "held by pid 30" not in of(made).reason, "a unit the catalog does not know"
    made.apply(supervisor(program("cms", "RUNNING", 30), full=False), 1.0)
    assert "port 8000 is held by pid 30 (python), not by lms" in of(made).reason


def test_a_crash_loop_is_one_steady_state() -> None:
    made = lms_host()
    for number in range(1, 6):
        again = program("lms", "RUNNING", 60 + number, start=T0 - 500 + number * 8)
        made.apply(supervisor(again, full=False, t=T0 - 40 + number * 8), 1.0)
    states = set()
    for word in ("STARTING", "BACKOFF", "RUNNING", "EXITED"):
        made.apply(supervisor(program("lms", word, 70 if word != "BACKOFF" else 0), full=False), 1.0)
        states.add(of(made).state)
    assert states == {State.DEGRADED}


def test_a_child_of_a_wrapper_script_is_no_orphan() -> None:
    made = lms_host(pid=29)
    wrapper = process(29, "/bin/bash", "/edx/app/edxapp/lms.sh", ppid=20)
    made.apply(processes(wrapper, process(30, *GUNICORN, ppid=29), full=False), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    assert of(made).state is State.UP


def test_an_owner_that_can_not_be_seen_is_no_orphan() -> None:
    made = lms_host(pid=50)
    made.apply(listeners(listener(8000, None)), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    assert "held by pid" not in of(made).reason


def test_a_running_program_without_its_port_is_degraded() -> None:
    made = lms_host()
    made.apply(listeners(), 1.0)
    answer(made, State.UP, "heartbeat: 200")
    assert (of(made).state, of(made).reason) == (State.DEGRADED, "nothing listens on port 8000")


def test_expected_and_never_seen_is_absent_and_unexpected_is_nothing() -> None:
    made = store(expected=frozenset({"cms"}))
    made.apply(hello(), 1.0)
    made.apply(processes(process(1, "init")), 1.0)
    (cms,) = shown(made).instances
    assert (cms.component, cms.state, cms.expected) == ("cms", State.ABSENT, True)


def test_what_was_seen_and_is_gone_is_down() -> None:
    made = store()
    made.apply(hello(), 1.0)
    made.apply(processes(process(7, "/usr/bin/memcached", "-m", "64")), 1.0)
    assert of(made, "memcached").pids == (7,)
    made.apply(processes(full=False, gone=(7,), t=T0 + 1), 2.0)
    assert (of(made, "memcached").state, of(made, "memcached").since) == (State.DOWN, T0)


def test_nothing_on_a_lost_host_is_green() -> None:
    made = lms_host()
    answer(made, State.UP, "heartbeat: 200")
    assert of(made).state is State.UP
    lms = of(made, lost="the host is lost")
    assert (lms.state, lms.reason) == (State.UNKNOWN, "the host is lost; was up")


def test_installed_but_never_started_is_nothing() -> None:
    made = lms_host()
    made.set_units("systemd", [_systemd("nginx.service", UnitHealth.STOPPED)], at=T0, seen=1.0)
    assert [i.component for i in shown(made).instances] == ["lms", "supervisor"]


def test_a_failed_systemd_unit_is_down() -> None:
    made = lms_host()
    made.set_units("systemd", [_systemd("nginx.service", UnitHealth.FAILED)], at=T0, seen=1.0)
    assert of(made, "nginx").state is State.DOWN


def test_processes_overrule_an_init_script_that_can_not_tell() -> None:
    made = lms_host()
    made.apply(processes(process(7, "/usr/bin/memcached", "-m", "64"), full=False), 1.0)
    unit = Unit("sysv", "memcached", "unknown", UnitHealth.UNKNOWN)
    made.set_units("sysv", [unit], at=T0, seen=1.0)
    made.apply(listeners(listener(11211, 7), listener(8000, 30)), 1.0)
    made.set_health("memcached", "stats", Evidence("health", "stats: fine", State.UP, Age(T0, 1.0)))
    memcached = of(made, "memcached")
    assert (memcached.state, memcached.reason) == (
        State.UP, "running as pid 7, though sysv says unknown",
    )  # fmt: skip


def test_a_witnessed_change_dates_from_when_it_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    made = lms_host()
    made._history = history
    answer(made, State.UP, "heartbeat: 200")
    of(made)
    monkeypatch.setattr(time, "time", lambda: T0 + 5)
    answer(made, State.DEGRADED, "heartbeat: sql false", at=T0 + 5)
    assert of(made).since == T0 + 5
    monkeypatch.setattr(time, "time", lambda: T0 + 9)
    assert of(made).since == T0 + 5


def test_an_unchanged_instance_is_the_same_object() -> None:
    made = lms_host()
    assert of(made) is of(made)


@pytest.mark.parametrize(
    ("expression", "value"),
    [("4*cores", 8), ("max(2, cores-1)", 2), ("cores//2", 1), ("__import__('os')", None), ("cores**9", None),
     ("1/0", None), ("4 *", None), ("-3", None), ("'x'*3", None)],
)  # fmt: skip
def test_worker_expressions_are_arithmetic_and_nothing_else(expression: str, value: int | None) -> None:
    assert expected_workers(expression, 2) == value


def test_a_loop_of_parents_ends() -> None:
    made = store()
    made.apply(hello(), 1.0)
    made.apply(processes(process(5, "a", ppid=6), process(6, "b", ppid=5)), 1.0)
    assert not descends(5, 7, made.build(standing()).processes)


def test_every_component_has_an_expression_that_can_be_told() -> None:
    for component in CATALOG.components.values():
        for spec in (component.workers, component.tutor.workers if component.tutor else None):
            if spec is not None and not spec.units:
                assert expected_workers(spec.expression, 4) is not None, component.id


def _systemd(name: str, health: UnitHealth) -> Unit:
    return Unit("systemd", name, health.value, health, Identity())
