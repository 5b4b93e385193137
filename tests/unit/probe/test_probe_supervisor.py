"""supervisord's state as the probe reads it, against a real supervisord 4.3."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from edxconsole.probe.frames import Beat, Listeners, Note, Processes, ProgramRow, Supervisor
from tests.unit.probe.probing import PYTHONS, Start, Watch

SUPERVISORD = Path(sys.executable).with_name("supervisord")
PASSWORD = "n0t-0n-the-wire"
CONFIG = """\
[unix_http_server]
file = %(here)s/supervisor.sock ; the socket
username = ops
password = {password}
[supervisord]
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
nodaemon = true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:lms]
command = sleep 1000
startsecs = 0
[program:edxapp_worker]
process_name = lms_%(process_num)s
numprocs = 2
command = sleep 1001
startsecs = 0
[program:broken]
command = /no/such/program <&>
startsecs = 0
startretries = 1
[program:manual]
command = sleep 1002
autostart = false
"""


class Daemon:
    """A supervisord in a short folder (UNIX socket paths are limited)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "supervisord.conf"
        self.config.write_text(CONFIG.format(folder=folder, password=PASSWORD))
        self.child: asyncio.subprocess.Process | None = None

    async def begin(self) -> int:
        self.child = await asyncio.create_subprocess_exec(
            str(SUPERVISORD),
            "-c",
            str(self.config),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for _ in range(400):
            if "supervisor.sock" in os.listdir(self.folder):
                break
            await asyncio.sleep(0.05)
        return self.child.pid

    async def end(self) -> None:
        if self.child is None or self.child.returncode is not None:
            return
        family = psutil.Process(self.child.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGCONT)
            self.child.kill()
        await self.child.wait()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    with TemporaryDirectory(prefix="ps-") as folder:
        one = Daemon(Path(folder))
        await one.begin()
        yield one
        await one.end()


def of(daemon: Daemon, frame: Supervisor) -> bool:
    return frame.config == str(daemon.config)


def programs(watch: Watch, daemon: Daemon) -> dict[str, ProgramRow]:
    rows: dict[str, ProgramRow] = {}
    for frame in watch.of(Supervisor):
        if of(daemon, frame):
            if frame.full:
                rows = {}
            rows.update({f"{r.group}:{r.name}": r for r in frame.programs})
    return rows


async def settled(watch: Watch, daemon: Daemon) -> dict[str, ProgramRow]:
    async with asyncio.timeout(30):
        while True:
            rows = programs(watch, daemon)
            if rows and all(r.statename in ("RUNNING", "FATAL", "STOPPED") for r in rows.values()):
                return rows
            await watch.until(Supervisor, since=len(watch.seen))


async def test_state_of_a_real_supervisord(start: Start, daemon: Daemon) -> None:
    watch = await start()
    first = await watch.until(Supervisor, lambda f: of(daemon, f))
    assert daemon.child
    assert first.full
    assert (first.pid, first.statename, first.error) == (daemon.child.pid, "RUNNING", "")
    assert first.version.startswith("4.")
    assert first.endpoint == f"unix:{daemon.folder}/supervisor.sock"
    assert first.owner == psutil.Process().username()
    rows = await settled(watch, daemon)
    assert set(rows) == {
        "lms:lms",
        "edxapp_worker:lms_0",
        "edxapp_worker:lms_1",
        "broken:broken",
        "manual:manual",
    }
    assert psutil.Process(rows["lms:lms"].pid).cmdline() == ["sleep", "1000"]
    assert rows["broken:broken"].statename == "FATAL"
    assert "no/such/program" in rows["broken:broken"].spawnerr
    assert rows["manual:manual"].statename == "STOPPED"
    assert rows["lms:lms"].stdout_logfile.endswith(".log")
    assert abs(rows["lms:lms"].start - time.time()) < 60
    assert PASSWORD not in repr(watch.seen)


@pytest.mark.parametrize("python", [None, *PYTHONS[:1]], ids=["same", "python2.7"])
async def test_kill_9_shows_the_successor(start: Start, daemon: Daemon, python: str | None) -> None:
    """The program is known to be dead at once by its pidfd, and its successor well before the next second."""
    watch = await start(python or sys.executable)
    rows = await settled(watch, daemon)
    deadly, reborn = [], []
    for _ in range(5):
        victim = programs(watch, daemon)["lms:lms"].pid
        await asyncio.sleep(0.3)
        mark, began = len(watch.seen), time.monotonic()
        os.kill(victim, signal.SIGKILL)
        await watch.until(
            Processes,
            lambda p, v=victim: v in p.gone or p.changed.get(v, ("",))[0] == "Z",  # type: ignore[misc]
            since=mark,
        )
        deadly.append(time.monotonic() - began)
        frame = await watch.until(
            Supervisor,
            # Ours: another test's supervisord on this machine may have a program of that name.
            lambda f, v=victim: (  # type: ignore[misc]
                of(daemon, f) and any(r.name == "lms" and r.pid not in (0, v) for r in f.programs)
            ),
            since=mark,
        )
        reborn.append(time.monotonic() - began)
        assert not frame.full
        assert len(frame.programs) < len(rows)
    print("kill -9 to the frame that says dead:", sorted(deadly), "successor:", sorted(reborn))
    if "pidfd" in watch.channel.hello.caps:
        assert sorted(deadly)[2] < 0.5


async def test_a_hung_supervisord_stalls_nothing_else(start: Start, daemon: Daemon) -> None:
    watch = await start()
    await settled(watch, daemon)
    assert daemon.child
    daemon.child.send_signal(signal.SIGSTOP)
    mark = len(watch.seen)
    hung = await watch.until(Supervisor, lambda f: of(daemon, f) and f.error != "")
    assert hung.error.startswith("ETIMEDOUT")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        await watch.until(Listeners, lambda x: any(r.port == port for r in x.rows))
    beats = [b.t for b in watch.of(Beat) if watch.seen.index(b) >= mark]
    assert max(b - a for a, b in itertools.pairwise(beats)) < 1.9
    daemon.child.send_signal(signal.SIGCONT)
    await watch.until(Supervisor, lambda f: of(daemon, f) and f.error == "", since=watch.seen.index(hung))


async def test_supervisord_stops_and_comes_back(start: Start, daemon: Daemon) -> None:
    watch = await start()
    await settled(watch, daemon)
    assert daemon.child
    old = daemon.child.pid
    daemon.child.terminate()
    down = await watch.until(Supervisor, lambda f: of(daemon, f) and f.error.startswith("not running"))
    assert (down.pid, down.full, down.programs) == (0, True, ())
    words = [f.statename for f in watch.of(Supervisor) if of(daemon, f)]
    assert words[0] == "RUNNING"
    await daemon.child.wait()
    new = await daemon.begin()
    up = await watch.until(
        Supervisor, lambda f: of(daemon, f) and f.error == "" and f.pid == new, since=watch.seen.index(down)
    )
    assert new != old
    assert up.full


@pytest.mark.root
async def test_a_socket_that_may_not_be_read(start: Start, daemon: Daemon) -> None:
    os.chmod(daemon.folder, 0o755)
    with socket.create_server(("127.0.0.1", 0)) as somebody_elses:
        port = somebody_elses.getsockname()[1]
        watch = await start(
            "/usr/bin/python3", prefix=["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534"]
        )
        frame = await watch.until(Supervisor, lambda f: of(daemon, f))
        assert frame.error == f"EACCES {daemon.folder}/supervisor.sock"
        assert frame.endpoint == f"unix:{daemon.folder}/supervisor.sock"
        assert frame.owner == "root"
        listeners = await watch.until(Listeners, lambda f: any(row.port == port for row in f.rows))
        assert listeners.partial


async def test_two_supervisords_and_a_tcp_port(start: Start, daemon: Daemon) -> None:
    with TemporaryDirectory(prefix="ps-") as folder:
        other = Daemon(Path(folder))
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        text = other.config.read_text().replace(
            "[unix_http_server]", f"[inet_http_server]\nport = 127.0.0.1:{port}"
        )
        other.config.write_text(text.replace("file = %(here)s/supervisor.sock ; the socket\n", ""))
        (other.folder / "supervisor.sock").touch()
        await other.begin()
        try:
            watch = await start()
            mine = await watch.until(Supervisor, lambda f: of(other, f) and f.statename == "RUNNING")
            assert mine.endpoint == f"tcp:127.0.0.1:{port}"
            assert "lms:lms" in await settled(watch, other)
            assert "lms:lms" in await settled(watch, daemon)
        finally:
            await other.end()


async def test_a_wrong_password_is_told_without_it(start: Start, daemon: Daemon) -> None:
    daemon.config.write_text(daemon.config.read_text().replace(PASSWORD, "another-0ne"))
    watch = await start()
    frame = await watch.until(Supervisor, lambda f: of(daemon, f))
    assert frame.error.startswith("401 ")
    assert "another-0ne" not in repr(watch.seen)
    assert not any(n.what == "probe" for n in watch.of(Note))


@pytest.mark.parametrize("port", ["99999", "\u00b2", "\udcff:9001", "a\0b:9001", ""])
async def test_a_configuration_that_names_no_place_stops_nothing(
    start: Start, daemon: Daemon, port: str
) -> None:
    text = daemon.config.read_text().replace("file = %(here)s/supervisor.sock", "file = /no\0where")
    text = text.replace("[supervisord]", f"[inet_http_server]\nport = {port}\n[supervisord]")
    daemon.config.write_text(text, errors="surrogateescape")
    watch = await start()
    frame = await watch.until(Supervisor, lambda f: of(daemon, f))
    assert frame.error
    assert await watch.until(Beat, since=len(watch.seen))
    assert not any(n.what == "probe" for n in watch.of(Note))
