"""`edxconsole demo` in a real pty, ended in every way: the terminal as it was, no trace of the cluster."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edxconsole.demo.namespaces import process_tree
from tests.support.demo import assert_gone, eventually, identities, runtime_directory
from tests.support.terminal import Terminal, descendants, terminal

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(120)]

KEYS = {"q": "q", "ctrl-c": "\x03"}
SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGHUP": signal.SIGHUP, "kill -9": signal.SIGKILL}


@dataclass
class Traces:
    """What of a demo could be left behind."""

    runtime: Path
    processes: dict[int, str]
    mounts: str
    links: list[str]

    def assert_none(self) -> None:
        assert_gone(self.processes)
        state = self.runtime / "edxconsole-demo"
        eventually(lambda: not state.exists() or not list(state.iterdir()), 5, lambda: list(state.iterdir()))
        assert Path("/proc/self/mounts").read_text() == self.mounts
        assert sorted(os.listdir("/sys/class/net")) == self.links


@pytest.fixture
def runtime() -> Iterator[Path]:
    path = runtime_directory()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def opened(tmp_path: Path, runtime: Path) -> Iterator[tuple[Terminal, Traces]]:
    """The demo's console, with four live hosts."""
    mounts, links = Path("/proc/self/mounts").read_text(), sorted(os.listdir("/sys/class/net"))
    with terminal(tmp_path, "demo", more={"XDG_RUNTIME_DIR": str(runtime)}) as console:
        console.until("4 live", timeout=40)
        holder = int((runtime / "edxconsole-demo/holder").read_text())
        tree = {*process_tree(holder), holder, *descendants(console.process.pid)}
        assert len(tree) > 30
        yield console, Traces(runtime, identities(sorted(tree)), mounts, links)


@pytest.mark.parametrize("way", [*KEYS, *SIGNALS])
def test_nothing_is_left_of_a_demo(opened: tuple[Terminal, Traces], way: str) -> None:
    console, traces = opened
    if way in KEYS:
        console.type(KEYS[way])
    else:
        console.signal(SIGNALS[way])
    status = console.ended(20)
    if way == "kill -9":
        assert status == -signal.SIGKILL
    else:
        assert status == (0 if way in KEYS else 128 + SIGNALS[way])
        console.assert_given_back()
        assert "Traceback" not in console.log(), console.log()
    traces.assert_none()


def test_nothing_is_left_when_the_terminal_is_closed(opened: tuple[Terminal, Traces]) -> None:
    console, traces = opened
    os.close(console.slave)
    os.close(console.master)
    console.process.wait(20)
    console.master, console.slave = os.pipe()
    traces.assert_none()
    assert "Traceback" not in console.log(), console.log()


@pytest.mark.parametrize("wait", [0.3, 0.8, 1.5, 2.5])
def test_ctrl_c_while_the_demo_starts(tmp_path: Path, runtime: Path, wait: float) -> None:
    mounts, links = Path("/proc/self/mounts").read_text(), sorted(os.listdir("/sys/class/net"))
    with terminal(tmp_path, "demo", more={"XDG_RUNTIME_DIR": str(runtime)}) as console:
        console.read(wait)
        traces = Traces(runtime, identities(descendants(console.process.pid)), mounts, links)
        console.type("\x03")
        assert console.ended(20) in {0, 130, -signal.SIGINT}, console.text
        console.assert_given_back()
        assert "Traceback" not in console.log(), console.log()
        traces.assert_none()
