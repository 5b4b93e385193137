"""SIGHUP reaches the master process, and only it: real processes of this machine."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import Process
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import IdentityDrift, NotConfirmed, PreflightFailed
from edxconsole.services.base import ActOutcome, Capabilities, Permit, Verb, no_phase
from edxconsole.services.hup import find_master, hup_master
from edxconsole.services.supervisor import SupervisorManager
from tests.unit.services.daemon import Daemon
from tests.unit.services.here import Here
from tests.unit.services.waiting import eventually, text_of, until_file_says

MASTER = r"gunicorn.*lms\.wsgi"
PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGHUP, lambda *a: open(sys.argv[1], "a").write("HUP"))
open(sys.argv[1], "w").close()
while True: time.sleep(0.05)
"""


class Fixed:
    """A manager of one unit whose identity is what the test says."""

    id = "systemd"

    def __init__(self, pid: int) -> None:
        self.identity = Identity(pid, 1)

    async def list(self) -> tuple[Unit, ...]:
        return ()

    async def observe(self, name: str) -> Unit:
        return Unit(self.id, name, "active", UnitHealth.RUNNING, self.identity)

    async def capabilities(self) -> Capabilities:
        return Capabilities("", frozenset(), "")

    def command(self, name: str, verb: Verb) -> str:
        return ""

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        raise AssertionError("a reload by HUP never asks the manager to act")

    async def close(self) -> None:
        """Nothing to close."""


def described(pid: int) -> Process:
    """A process as the probe would tell it."""
    text = Path(f"/proc/{pid}/stat").read_text()
    rest = text.rpartition(") ")[2].split()
    argv = tuple(Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0"))
    return Process(pid, int(rest[19]), 0.0, int(rest[1]), 0, "root", "x", argv, "S", 0.0, 0, 1)


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    return tmp_path / "seen"


@pytest.fixture
def master(seen: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", PROGRAM, str(seen), "gunicorn", "lms.wsgi"]
    with subprocess.Popen(argv) as process:
        yield process
        process.kill()


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[bytes]]:
    script = "trap 'exit 9' HUP; while :; do sleep 0.05; done # gunicorn lms.wsgi"
    with subprocess.Popen(["/bin/bash", "-c", script]) as process:
        yield process
        process.kill()


async def test_the_master_gets_the_signal(here: Here, master: subprocess.Popen[bytes], seen: Path) -> None:
    await until_file_says(seen, "")
    manager = Fixed(master.pid)
    permit = Permit("plan", "here", "lms", Verb.RELOAD, manager.identity)
    outcome = await hup_master(
        here, manager, "lms", described(master.pid), MASTER, permit=permit, login="root"
    )
    await until_file_says(seen, "HUP")
    assert outcome.detail == f"SIGHUP to {master.pid} by kill"
    assert master.poll() is None


async def test_another_start_time_or_argv_is_drift(
    here: Here, master: subprocess.Popen[bytes], seen: Path
) -> None:
    await until_file_says(seen, "")
    manager = Fixed(master.pid)
    permit = Permit("plan", "here", "lms", Verb.RELOAD, manager.identity)
    process = described(master.pid)
    older = dataclasses.replace(process, start=process.start - 1)
    with pytest.raises(IdentityDrift, match="another process"):
        await hup_master(here, manager, "lms", older, MASTER, permit=permit)
    with pytest.raises(IdentityDrift, match="not the master"):
        await hup_master(here, manager, "lms", process, r"cms\.wsgi", permit=permit)
    manager.identity = Identity(master.pid, 2)
    with pytest.raises(IdentityDrift, match="no longer what was confirmed"):
        await hup_master(here, manager, "lms", process, MASTER, permit=permit)
    with pytest.raises(NotConfirmed):
        await hup_master(here, manager, "cms", process, MASTER, permit=permit)
    assert text_of(seen) == ""


async def test_a_shell_is_never_signalled(here: Here, shell: subprocess.Popen[bytes]) -> None:
    manager = Fixed(shell.pid)
    permit = Permit("plan", "here", "lms", Verb.RELOAD, manager.identity)
    with pytest.raises(IdentityDrift, match="is a shell"):
        await hup_master(here, manager, "lms", described(shell.pid), MASTER, permit=permit)
    assert shell.poll() is None


async def test_a_process_that_ended_is_drift(here: Here, master: subprocess.Popen[bytes], seen: Path) -> None:
    await until_file_says(seen, "")
    process = described(master.pid)
    manager = Fixed(master.pid)
    permit = Permit("plan", "here", "lms", Verb.RELOAD, manager.identity)
    master.kill()
    master.wait()
    with pytest.raises(IdentityDrift, match="is gone"):
        await hup_master(here, manager, "lms", process, MASTER, permit=permit)


async def runs(manager: SupervisorManager) -> bool:
    return (await manager.observe("lms")).identity.pid is not None


async def test_supervisord_is_asked_where_the_master_is_what_it_supervises(
    here: Here, daemon: Daemon
) -> None:
    daemon.start()
    manager = SupervisorManager(here, daemon.place)
    await eventually(lambda: runs(manager))
    unit = await manager.observe("lms")
    assert unit.identity.pid is not None
    permit = Permit("plan", "here", "lms", Verb.RELOAD, unit.identity)
    process = described(unit.identity.pid)
    outcome = await hup_master(here, manager, "lms", process, r"sleep 1000", permit=permit, login="ops")
    assert outcome.detail.endswith("by supervisord")

    async def replaced() -> bool:
        return (await manager.observe("lms")).identity != unit.identity

    await eventually(replaced)
    await manager.close()


def rows(*processes: tuple[int, int, str]) -> dict[int, Process]:
    return {
        pid: Process(pid, 1, 0.0, ppid, 33, "www-data", "x", tuple(argv.split()), "S", 0.0, 0, 1)
        for pid, ppid, argv in processes
    }


def lms(pid: int | None) -> Unit:
    return Unit("supervisor:x", "lms", "RUNNING", UnitHealth.RUNNING, Identity(pid, 1))


GUNICORN = "/edx/venv/bin/python /edx/venv/bin/gunicorn -c lms_gunicorn.py lms.wsgi"


def test_the_master_is_found_behind_a_wrapper_shell() -> None:
    found = rows((5, 1, "bash /edx/app/edxapp/lms.sh"), (6, 5, GUNICORN), (7, 6, GUNICORN), (8, 6, GUNICORN))
    assert find_master(found, lms(5), MASTER).pid == 6


def test_the_supervised_process_itself_is_the_master() -> None:
    assert find_master(rows((6, 1, GUNICORN), (7, 6, GUNICORN)), lms(6), MASTER).pid == 6


@pytest.mark.parametrize(
    ("processes", "pid"),
    [
        (rows((6, 1, GUNICORN)), 5),
        (rows((5, 1, f"bash -c {GUNICORN}")), 5),
        (rows((5, 1, "bash lms.sh"), (6, 5, GUNICORN), (7, 5, GUNICORN)), 5),
        (rows((6, 1, GUNICORN)), None),
    ],
    ids=["orphan", "only-a-shell", "two", "not-running"],
)
def test_no_clear_master_is_refused(processes: dict[int, Process], pid: int | None) -> None:
    with pytest.raises(PreflightFailed):
        find_master(processes, lms(pid), MASTER)
