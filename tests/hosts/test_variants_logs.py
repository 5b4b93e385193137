"""Logs over SSH: rotated in every way while they are written, cut connections, files that go and come."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from edxconsole.logs.model import LogSource
from tests.lab import small
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import Log
from tests.lab.watching import watching

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(120)]

PATH = "/var/log/t/app.log"
WRITER = """
import os, signal, sys, time
path = sys.argv[1]
flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
fd = os.open(path, flags, 0o644)
reopen = []
signal.signal(signal.SIGHUP, lambda *a: reopen.append(1))
n = 0
while True:
    n += 1
    if n % 5 == 0 and "half" in sys.argv:
        os.write(fd, b"line")
        time.sleep(0.01)
        os.write(fd, b" %d half\\n" % n)
    else:
        os.write(fd, b"line %d\\n" % n)
    time.sleep(0.01)
    if reopen:
        reopen.clear()
        os.close(fd)
        fd = os.open(path, flags, 0o644)
"""

ROTATIONS = {
    "rename": ("mv {p} {p}.1; sleep 0.3; kill -HUP {w}", "rotated"),
    "rename with a late writer": ("mv {p} {p}.1; sleep 2; kill -HUP {w}", "missing"),
    "copytruncate": ("kill -STOP {w}; cp {p} {p}.1; truncate -s 0 {p}; kill -CONT {w}", "truncated"),
    "truncated once read": ("kill -STOP {w}; sleep 1; truncate -s 0 {p}; kill -CONT {w}", "truncated"),
    "recreated": ("rm {p}; kill -HUP {w}", "rotated"),
    "removed for a while": ("rm {p}; sleep 3; kill -HUP {w}", "missing"),
    "link swapped": ("ln -sfn b.log {p}; kill -HUP {w}", "rotated"),
    "rotated twice at once": (
        "mv {p} {p}.2; kill -HUP {w}; sleep 0.3; mv {p} {p}.1; kill -HUP {w}",
        "rotated",
    ),
}


@pytest.fixture
def host(lab: Lab) -> LabHost:
    host = lab.host("logs", files={"/run/lab/writer.py": WRITER})
    host.sh(f"mkdir -p /var/log/t; ln -s a.log {PATH}; touch /var/log/t/a.log")
    return host


def start_writer(host: LabHost, *, link: bool = False, half: bool = True) -> str:
    """A writer of PATH, its pid; PATH is a symbolic link or a file.

    It writes some lines in two halves, which truncating would tear apart for good.
    """
    if not link:
        host.sh(f"rm {PATH}")
    host.spawn(f"python3 /run/lab/writer.py {PATH} {'half' if half else ''}")
    return host.sh("pgrep -f '[w]riter.py'").split()[-1]


def back(log: Log, times: int) -> bool:
    marks = log.marks(PATH)
    return marks.count("resumed") + marks.count("gap") >= times


async def goes_on(log: Log) -> None:
    """Until a good number of further lines came."""
    before = len(log.lines(PATH))
    await log.until(lambda g: len(g.lines(PATH)) > before + 40, within=40, what="further lines")


@pytest.mark.parametrize("how", ROTATIONS)
async def test_no_line_is_lost_when_a_log_is(lab: Lab, host: LabHost, tmp_path: Path, how: str) -> None:
    command, mark = ROTATIONS[how]
    writer = start_writer(host, link=how == "link swapped", half="truncate" not in command)
    async with watching(lab.inventory(become=None), tmp_path) as engine:
        log = Log()
        await engine.follow([LogSource("logs", PATH)], log.feed)
        await goes_on(log)
        await host.ash(command.format(p=PATH, w=writer))
        await goes_on(log)
        small.consecutive(log.lines(PATH))
        assert mark in log.marks(PATH)
        assert sum(batch.lost for batch in log.read()) == 0


@pytest.mark.parametrize("how", ["nothing", "rename", "copytruncate", "recreated"])
async def test_no_line_is_lost_over_reconnections(lab: Lab, host: LabHost, tmp_path: Path, how: str) -> None:
    """With a rotation while nobody looked; what was removed meanwhile is a gap that is told."""
    rotate = ROTATIONS[how][0] if how in ROTATIONS else "true"
    writer = start_writer(host, half="truncate" not in rotate)
    async with watching(lab.inventory(become=None), tmp_path) as engine:
        log = Log()
        await engine.follow([LogSource("logs", PATH)], log.feed)
        await goes_on(log)
        for n in (1, 2):
            cut = "pkill -STOP -x sshd; pkill -KILL -f '[s]shd: ops'; sleep 0.5;"
            then = rotate.format(p=PATH, w=writer) if n == 1 else "true"
            await host.ash(f"{cut} {then}; sleep 0.5; pkill -CONT -x sshd")
            await log.until(partial(back, times=n), within=40)
            await goes_on(log)
        assert log.marks(PATH).count("disconnected") == 2
        if how == "recreated":
            assert "gap" in log.marks(PATH)
        else:
            small.consecutive(log.lines(PATH))
            assert "gap" not in log.marks(PATH)
            assert sum(batch.lost for batch in log.read()) == 0


async def test_a_file_that_goes_and_comes(lab: Lab, host: LabHost, tmp_path: Path) -> None:
    path = "/var/log/t/later.log"
    async with watching(lab.inventory(become=None), tmp_path) as engine:
        log = Log()
        await engine.follow([LogSource("logs", path)], log.feed)
        await log.until(lambda g: g.marks(path) == ["missing"])
        await host.ash(f"echo first >{path}")
        await log.until(lambda g: g.lines(path) == ["first"])
        await host.ash(f"rm {path}")
        await log.until(lambda g: g.marks(path).count("missing") == 2)
        await host.ash(f"echo second >{path}")
        await log.until(lambda g: g.lines(path) == ["first", "second"])
        assert log.marks(path) == ["missing", "back", "missing", "back"]
        await host.ash(f"chmod 0 {path}; mv {path} {path}.1; install -m 0600 /dev/null {path}")
        await log.until(lambda g: g.marks(path)[-1] == "denied")
        await asyncio.sleep(0.5)
        notes = engine.snapshot.hosts["logs"].notes
        assert any(path in note and "mode 0600" in note for note in notes), notes
        await host.ash(f"echo third >>{path}; chmod 644 {path}")
        await log.until(lambda g: g.lines(path)[-1] == "third")


async def test_a_directory_or_device_is_no_log(lab: Lab, host: LabHost, tmp_path: Path) -> None:
    """Named, not read: and nothing hangs on a pipe that nobody writes."""
    await host.ash(
        "mkdir /var/log/t/dir.log; mkfifo -m 644 /var/log/t/pipe.log; ln -s /dev/zero /var/log/t/zero.log"
    )
    async with watching(lab.inventory(become=None), tmp_path) as engine:
        log = Log()
        paths = [f"/var/log/t/{name}.log" for name in ("dir", "pipe", "zero")]
        await engine.follow([LogSource("logs", p) for p in paths], log.feed)
        await log.until(lambda g: all(g.marks(p) for p in paths))
        assert not any(log.lines(p) for p in paths)
        await asyncio.sleep(0.5)
        notes = " ".join(engine.snapshot.hosts["logs"].notes)
        for path in paths:
            assert path in notes
