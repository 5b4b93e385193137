"""What the probe may leave unread because it did not move, and how it knows."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edxconsole.probe.frames import Beat, Processes
from edxconsole.probe.launcher import AGENT, source
from tests.unit.probe.probing import Start


class Notes:
    """Takes the probe's notes."""

    def note(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def agent() -> dict[str, Any]:
    """The agent's own names."""
    names: dict[str, Any] = {"__name__": "__probe__"}
    exec(compile(b"".join(source(name) for name in AGENT), "agent", "exec"), names)
    return names


@pytest.fixture(params=["CpuClocks", "SchedStats"])
def table(request: pytest.FixtureRequest, agent: dict[str, Any]) -> Any:
    """A process table with one or the other way to know who ran; every way to find newcomers."""
    procs = agent["Procs"](Notes())
    if request.param == "SchedStats":
        procs.gate = agent["SchedStats"](procs.files)
        procs.newcomers = agent["Newcomers"](procs.gate)
    assert procs.newcomers.counted == (request.param == "CpuClocks")
    procs.sample()
    procs.sample()
    yield procs
    for pid in list(procs.p):
        procs.drop(pid)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "99"])
    yield child
    child.kill()
    child.wait()


def looks(agent: dict[str, Any], table: Any, pid: int) -> list[int]:
    """The next sample's rows about this pid: [times new, times changed, times gone]."""
    return [rows.count(pid) for rows in table.sample()]


def test_a_process_that_sleeps_is_not_read(agent: dict[str, Any], table: Any, sleeper: Any) -> None:
    assert looks(agent, table, sleeper.pid)[0] == 1
    time.sleep(0.1)
    table.sample()
    table.tick = sleeper.pid + 7
    assert sleeper.pid not in table.due()
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert looks(agent, table, sleeper.pid) == [0, 1, 0]
    assert table.p[sleeper.pid][agent["STATE"]] == b"T"


def test_each_is_read_in_its_turn_though_it_sleeps(agent: dict[str, Any], table: Any, sleeper: Any) -> None:
    table.sample()
    time.sleep(0.1)
    table.sample()
    table.tick = sleeper.pid
    assert sleeper.pid in table.due()


def test_an_ended_process_is_gone(agent: dict[str, Any], table: Any) -> None:
    child = subprocess.Popen(["sleep", "99"])
    assert looks(agent, table, child.pid) == [1, 0, 0]
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert looks(agent, table, child.pid) == [0, 1, 0]
    assert table.p[child.pid][agent["STATE"]] == b"Z"
    child.wait()
    assert looks(agent, table, child.pid) == [0, 0, 1]
    assert looks(agent, table, child.pid) == [0, 0, 0]


def test_work_of_any_thread_is_seen(agent: dict[str, Any], table: Any) -> None:
    """The first thread sleeps, another one computes."""
    code = (
        "import threading,time\ndef f():\n while 1: pass\nthreading.Thread(target=f).start()\ntime.sleep(99)"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.5)
        table.sample()
        before = table.p[child.pid][agent["CPU"]]
        time.sleep(0.5)
        assert looks(agent, table, child.pid)[1] == 1
        assert table.p[child.pid][agent["CPU"]] > before
    finally:
        child.kill()
        child.wait()


def test_threads_are_no_processes(table: Any) -> None:
    table.sample()
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            new, _, _ = table.sample()
            assert not {thread.native_id for thread in threads} & {*new, *table.p}
    finally:
        done.set()


def test_a_pid_is_tried_again_when_it_could_not_be_seen_yet(agent: dict[str, Any], table: Any) -> None:
    """The kernel counts a pid as given out a moment before its process shows."""
    leads = table.gate.leads
    table.gate.leads = lambda pid: False
    with subprocess.Popen(["sleep", "99"]) as child:
        assert looks(agent, table, child.pid) == [0, 0, 0]
        table.gate.leads = leads
        if not table.newcomers.counted:
            table.newcomers.forks = None
        assert looks(agent, table, child.pid) == [1, 0, 0]
        child.kill()


def test_many_newcomers_are_listed(table: Any) -> None:
    table.sample()
    children = [subprocess.Popen(["sleep", "99"]) for _ in range(80)]
    try:
        new, _, _ = table.sample()
        assert {child.pid for child in children} <= set(new)
    finally:
        for child in children:
            child.kill()
            child.wait()


async def test_children_of_a_zombie_get_their_new_parent(start: Start) -> None:
    """Who ended but was not waited for yet has no children any more."""
    watch = await start()
    await watch.until(Beat)
    script = "sleep 98 >/dev/null & echo $!; read x"
    parent = await asyncio.to_thread(subprocess.Popen, ["sh", "-c", script], stdin=-1, stdout=-1)
    assert parent.stdout
    child = int(await asyncio.to_thread(parent.stdout.readline))
    try:
        await watch.until(Processes, lambda p: any(r.pid == child and r.ppid == parent.pid for r in p.new))
        parent.kill()
        await watch.until(
            Processes, lambda p: any(r.pid == child and r.ppid != parent.pid for r in p.new), timeout=6
        )
        assert parent.returncode is None
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_a_listener_is_parsed_when_the_kernel_says_something_else(
    agent: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    netlink, listen = agent["Netlink"](), agent["LISTEN"]
    request.addfinalizer(netlink.s.close)

    def told() -> set[tuple[int, int]]:
        return {(row[0], row[2]) for row in netlink.tcp(listen)}

    # other programs of this machine may open and close ports meanwhile
    assert any(netlink.tcp(listen) is netlink.tcp(listen) for _ in range(50))
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as one:
        six = socket.AF_INET6, one.getsockname()[1]
        assert six in told()
        with socket.create_server(("127.0.0.1", 0)) as other:
            four = socket.AF_INET, other.getsockname()[1]
            assert {four, six} <= told()
        assert four not in told()
        assert six in told()


def test_an_end_is_seen_without_pidfd(agent: dict[str, Any], table: Any) -> None:
    """Old kernels have none: the watched processes are looked at in turn."""
    ended: list[int] = []
    exits = agent["Exits"](None, table, None, ended.append)
    with subprocess.Popen(["sleep", "99"]) as child:
        table.sample()
        exits.watch(child.pid)
        table.sample()
        exits.poll()
        assert not ended
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        exits.poll()
        assert ended == [child.pid]
        table.sample()
        exits.fds[child.pid] = -1
        exits.poll()
    assert ended == [child.pid, child.pid], "a zombie that the table knows has ended as well"
