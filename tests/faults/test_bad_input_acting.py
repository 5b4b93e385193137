"""Acts interrupted, declined or impossible, on a real supervisord: nothing hangs, nothing lies."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edxconsole.plans.journal import Journal
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import pid_of, small_host, wait_running
from tests.support.terminal import command, descendants, terminal

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(150)]

QUICK = 6.0
RESTART = ("restart", "idle@app", "--yes", "--reason", "test")


@pytest.fixture(scope="module")
def app(module_lab: Lab) -> LabHost:
    """A host whose supervisord runs two programs; a second host beside it has nothing."""
    made = module_lab.boot({"app": small_host(), "other": small_host()})
    for host in made.values():
        wait_running(host)
    return made["app"]


@pytest.fixture(scope="module")
def hosts(app: LabHost, module_lab: Lab) -> str:
    return str(module_lab.hosts_yaml())


def events(directory: Path) -> list[dict[str, Any]]:
    journal = Journal(directory / "state/edxconsole")
    assert journal.verify().ok
    return list(journal.records())


def test_without_a_terminal_to_confirm_on(app: LabHost, hosts: str, tmp_path: Path) -> None:
    before = wait_running(app)
    ended = command(tmp_path, "--hosts", hosts, "restart", "idle@app")
    assert ended.status == 4
    assert ended.err == ('edxconsole: there is no terminal to confirm on; use --yes --reason "why".\n')
    assert pid_of(app) == before
    assert events(tmp_path) == []


@pytest.mark.parametrize(("keys", "status"), [("n\r", 4), ("\r", 4), ("\x04", 4), ("\x03", 130)])
def test_the_question_can_be_left_in_any_way(
    app: LabHost, hosts: str, tmp_path: Path, keys: str, status: int
) -> None:
    before = wait_running(app)
    with terminal(tmp_path, "--hosts", hosts, "restart", "idle@app") as asked:
        asked.until("Go on?")
        begun = time.monotonic()
        asked.type(keys)
        assert asked.ended(10) == status, asked.text
        assert time.monotonic() - begun < QUICK
        asked.assert_given_back()
        if status == 4:
            assert "not confirmed, nothing was changed" in asked.text
    assert pid_of(app) == before
    assert events(tmp_path) == []


MOMENTS = [(way, moment) for way in ("ctrl-c", "SIGTERM", "SIGHUP") for moment in ("act", "✓")]
MOMENTS += [("ctrl-c", moment) for moment in ("connecting", "first", "do ")]


@pytest.mark.parametrize(("way", "moment"), MOMENTS)
def test_interrupted_at_any_moment(app: LabHost, hosts: str, tmp_path: Path, way: str, moment: str) -> None:
    """It ends in time with 130; the journal tells what is known; the program runs, old or new."""
    before = wait_running(app)
    with terminal(tmp_path, "--hosts", hosts, *RESTART) as acting:
        if moment == "connecting":
            acting.read(0.7)
        elif moment == "first":
            acting.read(1.2)
        else:
            acting.until(moment)
        below = descendants(acting.process.pid)
        begun = time.monotonic()
        if way == "ctrl-c":
            acting.type("\x03")
        else:
            acting.signal(signal.Signals[way])
        status = acting.ended(10)
        assert time.monotonic() - begun < 2 * QUICK
        acting.assert_given_back()
        assert status in {130, -signal.SIGINT}, acting.text
        assert "Traceback" not in acting.log(), acting.log()
        assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    told = [record["ev"] for record in events(tmp_path)]
    if "act.begin" in told:
        assert {"act.end", "act.unknown", "act.failed"} & set(told), told
        assert told[-1] in ("plan.aborted", "plan.done"), told
    after = wait_running(app)
    if "act.begin" not in told or "act.failed" in told:
        assert after == before
    if "act.end" in told:
        assert after != before


def test_a_journal_that_cant_be_written_stops_the_act(app: LabHost, hosts: str, tmp_path: Path) -> None:
    before = wait_running(app)
    ended = command(tmp_path, "--hosts", hosts, *RESTART, more={"XDG_STATE_HOME": "/proc"})
    assert ended.status == 4, ended.said
    (line,) = ended.err.splitlines()
    assert "the journal /proc/edxconsole/journal.jsonl can't be written" in line
    assert "nothing is changed on a host without it" in line
    assert pid_of(app) == before


def test_a_full_disk_under_the_journal_stops_the_act(app: LabHost, hosts: str, tmp_path: Path) -> None:
    before = wait_running(app)
    directory = tmp_path / "state/edxconsole"
    directory.mkdir(parents=True)
    (directory / "journal.jsonl").symlink_to("/dev/full")
    ended = command(tmp_path, "--hosts", hosts, *RESTART)
    assert ended.status == 4, ended.said
    assert "can't be written" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert pid_of(app) == before


def test_a_host_that_freezes_in_the_middle(app: LabHost, hosts: str, tmp_path: Path) -> None:
    """Told in a sentence, in the journal as unknown or failed, and Ctrl-C ends it at once."""
    with terminal(tmp_path, "--hosts", hosts, *RESTART) as acting:
        acting.until("✓")
        app.freeze()
        try:
            acting.read(2.0)
            begun = time.monotonic()
            acting.type("\x03")
            assert acting.ended(10) == 130, acting.text
            assert time.monotonic() - begun < QUICK + 1
            acting.assert_given_back()
        finally:
            app.thaw()
    assert [r["ev"] for r in events(tmp_path)][-1] == "plan.aborted"
    wait_running(app)


@pytest.mark.parametrize("keys", ["q", "\x03"])
def test_the_console_leaves_at_once_while_a_host_is_frozen(
    app: LabHost, hosts: str, tmp_path: Path, keys: str
) -> None:
    with terminal(tmp_path, "--hosts", hosts) as console:
        console.until("2 live")
        app.freeze()
        try:
            console.until("stale")
            console.until("1 live", "lost", timeout=30)
            begun = time.monotonic()
            console.type(keys)
            assert console.ended(10) == 0
            assert time.monotonic() - begun < QUICK
            console.assert_given_back()
        finally:
            app.thaw()
        assert "Traceback" not in console.log()


def test_the_console_comes_back_when_its_connection_is_killed(
    app: LabHost, hosts: str, tmp_path: Path
) -> None:
    """The sshd of the session is killed, by hand on the host; the other host goes on."""
    with terminal(tmp_path, "--hosts", hosts) as console:
        console.until("2 live")
        console.seen = console.seen[-1:]
        app.sh("pkill -9 -f '^sshd: ops'")
        console.until("1 live")
        console.until("2 live", timeout=20)
        console.type("q")
        assert console.ended() == 0
        assert console.stty() == console.before
        assert "Traceback" not in console.log()


@pytest.fixture
def down(app: LabHost) -> Iterator[None]:
    app.sh("kill $(cat /edx/var/supervisor/supervisord.pid)")
    time.sleep(1.5)
    yield
    app.spawn(f"{sys.prefix}/bin/python {sys.prefix}/bin/supervisord -c /etc/supervisord.conf")
    wait_running(app)


def test_a_supervisord_that_is_down(down: None, app: LabHost, hosts: str, tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", hosts, *RESTART)
    assert ended.status == 2, ended.said
    assert "app" in ended.err
    assert len(ended.err.splitlines()) == 1
    shown = command(tmp_path, "--hosts", hosts, "status")
    assert "2 of 2 hosts live" in shown.out


def test_a_socket_that_may_not_be_read(module_lab: Lab, tmp_path: Path) -> None:
    """No sudo, no port 9001: the rule that would help is named, by check and by restart."""
    host = module_lab.host("closed", sudo=False, **_fields(small_host()))
    hosts = str(module_lab.hosts_yaml(module_lab.inventory([host])))
    wait_running(host)
    ended = command(tmp_path, "--hosts", hosts, "check", "@closed")
    assert ended.status == 1, ended.said
    assert "EACCES /edx/var/supervisor/supervisor.sock" in ended.out
    assert "remedy: give this host `become: sudo` in hosts.yaml and add to its sudoers" in ended.out
    acted = command(tmp_path, "--hosts", hosts, "restart", "idle@closed", "--yes", "--reason", "x")
    assert acted.status == 2, acted.said
    assert "not everything is seen there, see `edxconsole check @closed`" in acted.err
    assert len(acted.err.splitlines()) == 1
    assert "closed" in acted.err


def _fields(options: Any) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("script", "files")}
