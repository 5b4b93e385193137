"""What the store makes of frames, and that it keeps still when nothing changed."""

from __future__ import annotations

import time

import pytest

from edxconsole.cluster.model import Age, Evidence, State
from edxconsole.cluster.store import Change
from tests.unit.cluster.frames_for_tests import (
    GUNICORN,
    SOCKET,
    T0,
    beat,
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
    vitals,
)


def test_it_is_ready_with_hello_processes_and_listeners() -> None:
    made = store()
    for frame in (hello(), processes(process(1, "init"))):
        made.apply(frame, 1.0)
        assert not made.ready
    made.apply(listeners(), 1.0)
    assert made.ready


def test_a_snapshot_has_what_the_frames_said() -> None:
    made = lms_host()
    made.apply(vitals(), 1.0)
    shown = made.build(standing())
    assert shown.hostname == "app1"
    assert shown.processes[30].argv == GUNICORN
    assert shown.processes[30].user == "www-data"
    assert shown.processes[30].started_at == T0 - 1000 + 500
    (port,) = shown.listeners
    assert (port.port, port.process, port.component) == (8000, "python", "lms")
    unit = shown.units[f"supervisor:{SOCKET}/lms"]
    assert (unit.word, unit.identity.pid, unit.log_paths[1]) == (
        "RUNNING", 30, "/edx/var/log/supervisor/lms-stderr.log",
    )  # fmt: skip
    assert shown.vitals is not None
    assert shown.vitals.cores == 2


def test_a_beat_changes_nothing_but_ages() -> None:
    made = lms_host()
    made.apply(vitals(), 1.0)
    shown = made.build(standing())
    assert shown.ages["processes"].seen == 1.0
    assert made.apply(beat(T0 + 60), 61.0) is Change.NOTHING
    assert shown.ages["processes"].seen == 61.0, "an age moves on without a new snapshot"


def test_an_older_snapshot_keeps_its_processes() -> None:
    made = lms_host()
    shown = made.build(standing())
    made.apply(processes(full=False, gone=(31,), t=T0 + 1), 2.0)
    assert 31 in shown.processes
    assert 31 not in made.build(standing()).processes


@pytest.mark.parametrize(("ticks", "shown"), [(0, 0.0), (1, 0.0), (5, 5.0), (100, 100.0), (250, 250.0)])
def test_cpu_is_whole_per_cents_and_little_is_none(ticks: int, shown: float) -> None:
    made = lms_host()
    frame = processes(full=False, t=T0 + 1, changed={30: ("R", 100 + ticks, 50_000, 1)})
    changed = made.apply(frame, 2.0)
    assert made.build(standing()).processes[30].cpu == shown
    assert bool(changed) == bool(shown)


def test_a_busy_process_that_is_not_sent_again_has_become_idle() -> None:
    made = lms_host()
    made.apply(processes(full=False, t=T0 + 1, changed={30: ("R", 150, 50_000, 1)}), 2.0)
    assert made.build(standing()).processes[30].state == "R"
    assert made.apply(beat(T0 + 2), 3.0) is Change.NOTHING
    assert made.apply(beat(T0 + 3), 4.0) is Change.NUMBERS
    idle = made.build(standing()).processes[30]
    assert (idle.cpu, idle.state) == (0.0, "S")


def test_a_rate_spans_the_sampling_period_after_a_long_silence() -> None:
    made = lms_host()
    for second in range(1, 10):
        made.apply(processes(full=False, t=T0 + second), 1.0 + second)
    made.apply(processes(full=False, t=T0 + 10, changed={30: ("R", 150, 50_000, 1)}), 11.0)
    assert made.build(standing()).processes[30].cpu == 50.0


def test_small_moves_of_vitals_are_not_news() -> None:
    made = lms_host()
    made.apply(vitals(), 1.0)
    quiet = vitals(T0 + 1, load=(0.12, 0.1, 0.1), cpu=0.03, mem_available=2_995_000)
    assert made.apply(quiet, 2.0) is Change.NOTHING
    assert made.apply(vitals(T0 + 2, mem_available=2_000_000), 3.0) is Change.DRIFT
    assert made.apply(vitals(T0 + 3, mem_available=100_000), 4.0) is Change.NUMBERS


def test_the_same_health_answer_again_is_only_younger() -> None:
    made = lms_host()

    def evidence(text: str, at: float) -> Evidence:
        return Evidence("health", text, State.UP, Age(at, at))

    assert made.set_health("lms", "heartbeat", evidence("fine", time.time() - 9)) & Change.SHAPE
    made.build(standing())
    assert made.set_health("lms", "heartbeat", evidence("fine", time.time())) is Change.NOTHING
    assert made.set_health("lms", "heartbeat", evidence("slow", time.time())) & Change.SHAPE


def test_an_unreadable_supervisord_leaves_its_programs_unknown() -> None:
    made = lms_host()
    made.apply(supervisor(full=False, error="ECONNREFUSED /edx/var/supervisor/supervisor.sock"), 2.0)
    shown = made.build(standing())
    (unit,) = shown.units.values()
    assert (unit.word, unit.detail) == ("unknown", "was RUNNING when last readable")
    assert shown.supervisors[0].word == "unreadable"


def test_a_program_that_is_gone_from_a_whole_frame_is_gone() -> None:
    made = lms_host()
    made.apply(supervisor(program("cms", "STOPPED")), 2.0)
    assert [u.name for u in made.build(standing()).units.values()] == ["cms"]


def test_an_unchanged_program_is_no_change() -> None:
    made = lms_host()
    made.build(standing())
    assert made.apply(supervisor(program("lms", "RUNNING", 30), full=False), 2.0) is Change.NOTHING


def test_hostile_words_are_shown_harmless() -> None:
    made = store()
    made.apply(hello(hostname="app\x1b]52;c;aGk=\x07one\u202e"), 1.0)
    made.apply(processes(process(5, "evil\x1b[2J\x9b31m\n[/x]")), 1.0)
    shown = made.build(standing())
    assert shown.hostname == "appone\ufffd"
    assert all(c.isprintable() for c in shown.processes[5].argv[0])


def test_notes_are_bounded_and_can_be_taken_back() -> None:
    made = store()
    for number in range(100):
        made.set_note(f"source {number}", f"can't see {number}")
    assert len(made.build(standing()).notes) == 40
    assert made.set_note("source 0", None) is Change.NUMBERS
    assert "can't see 0" not in made.build(standing()).notes


def test_a_reused_pid_is_another_process() -> None:
    made = lms_host()
    made.apply(processes(process(31, "/bin/sleep", "9", start=60_000), full=False, t=T0 + 1), 2.0)
    shown = made.build(standing())
    assert shown.processes[31].identity.start == 60_000
    assert 31 not in shown.instances[0].pids


def test_listeners_without_an_owner_are_guessed_by_port() -> None:
    made = lms_host()
    made.apply(listeners(listener(3306, None), listener(8000, 30)), 2.0)
    guessed = {s.port: (s.component, s.how) for s in made.build(standing()).listeners}
    assert guessed == {3306: ("mysql", "none"), 8000: ("lms", "owner")}
