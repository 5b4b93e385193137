"""The console in a real pty, ended in every way at every moment: the terminal as it was, nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import ENTERED, LEFT, ROOT, Terminal, command, descendants, environment, terminal

HOSTS = "cluster: t\nenvironment: development\nhosts:\n  here: {transport: local}\n"
QUICK = 3.0


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.yaml"
    path.write_text(HOSTS)
    return path


@pytest.fixture
def console(hosts: Path) -> Iterator[Terminal]:
    with terminal(hosts.parent, "--hosts", str(hosts)) as opened:
        yield opened


def assert_nothing_is_left(console: Terminal, below: list[int]) -> None:
    """No process of it lives on; one that the probe started may need a moment."""
    end = time.monotonic() + 5
    while alive := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


@pytest.mark.parametrize("wait", [0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.8])
def test_ctrl_c_at_any_moment_of_the_start(hosts: Path, wait: float) -> None:
    with terminal(hosts.parent, "--hosts", str(hosts)) as console:
        console.read(wait)
        entered = ENTERED in console.seen
        below = descendants(console.process.pid)
        begun = time.monotonic()
        console.type("\x03")
        status = console.ended(10)
        took = time.monotonic() - begun
        if not entered and f"{ROOT}/edxconsole/" not in console.text:
            return  # Python itself was still starting: nothing of ours ran
        console.assert_given_back()
        assert status in ({0} if entered else {0, 130, -signal.SIGINT}), console.text
        assert took < 2 * QUICK, took
        assert_nothing_is_left(console, below)
        if not entered and LEFT not in console.seen:
            assert console.text.replace("^C", "").strip() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("wait", [0.2, 0.3, 0.45, 0.9, 2.5])
def test_told_to_end_at_any_moment(hosts: Path, number: signal.Signals, wait: float) -> None:
    with terminal(hosts.parent, "--hosts", str(hosts)) as console:
        console.read(wait)
        below = descendants(console.process.pid)
        console.signal(number)
        status = console.ended(10)
        console.assert_given_back()
        if ENTERED in console.seen:
            assert status == 128 + number
        else:
            # Python's own end by KeyboardInterrupt, which a signal at our first import is, is SIGINT.
            assert status in {130, -number, -signal.SIGINT}, (status, console.text)
        assert_nothing_is_left(console, below)


def test_the_terminal_is_closed(hosts: Path) -> None:
    """The window is gone: nobody reads, writes fail; it ends all the same and takes its probe with it."""
    console = Terminal(hosts.parent, "--hosts", str(hosts))
    try:
        console.until("live")
        below = descendants(console.process.pid)
        assert below
        os.close(console.slave)
        os.close(console.master)
        begun = time.monotonic()
        console.process.wait(10)
        assert time.monotonic() - begun < 2 * QUICK
        assert_nothing_is_left(console, below)
        assert "Traceback" not in console.log(), console.log()
    finally:
        if console.process.poll() is None:
            console.process.kill()
            console.process.wait()


def test_it_is_too_small_then_large_again(console: Terminal) -> None:
    console.until("live", "COMPONENTS")
    for size in ((40, 10), (20, 5), (1, 1), (3, 50), (200, 2)):
        console.resize(*size)
        console.read(0.4)
    console.resize(40, 10)
    console.until("The terminal is 40×10", "at least 60×16")
    console.seen = console.seen[-1:]
    console.resize(120, 36)
    console.until("COMPONENTS", "Open")
    console.type("q")
    assert console.ended() == 0
    assert console.stty() == console.before


def test_it_starts_too_small_and_is_usable_when_enlarged(hosts: Path) -> None:
    with terminal(hosts.parent, "--hosts", str(hosts), size=(20, 5)) as console:
        console.until("The terminal is")
        console.read(1.0)
        console.resize(120, 36)
        console.until("COMPONENTS", "live", "Open")
        console.type("q")
        assert console.ended() == 0
        console.assert_given_back()


def test_a_storm_of_resizes(console: Terminal) -> None:
    console.until("live")
    for number in range(200):
        console.resize(20 + number * 7 % 160, 4 + number * 5 % 50)
        if number % 10 == 0:
            console.read(0.02)
    console.resize(120, 36)
    console.seen = console.seen[-1:]
    console.read(0.5)
    console.type("?")
    console.until("Help")
    console.type("\x1b")
    console.read(0.6)
    console.type("q")
    assert console.ended() == 0
    assert console.stty() == console.before
    assert "Traceback" not in console.log()


@pytest.mark.parametrize(
    "variables",
    [
        {"TERM": "dumb"},
        {"TERM": "vt100"},
        {"TERM": ""},
        {"TERM": "no-such-terminal"},
        {"NO_COLOR": "1"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LANG": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
        {"COLUMNS": "0", "LINES": "x"},
    ],
    ids=str,
)
def test_odd_surroundings(hosts: Path, variables: dict[str, str]) -> None:
    with terminal(hosts.parent, "--hosts", str(hosts), more=variables) as console:
        console.until("live", timeout=30)
        if "NO_COLOR" in variables:
            colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", console.seen)
            assert all(red == green == blue for red, green, blue in colours)
        console.type("q")
        assert console.ended() == 0
        console.assert_given_back()
        assert "Traceback" not in console.log()


@pytest.mark.parametrize(
    "closed", ["</dev/null", ">/dev/null", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "| head -c 1"]
)
def test_without_a_terminal_it_says_so(hosts: Path, closed: str) -> None:
    """On one side or both: never a screen, never a traceback, always status 2."""
    script = f'"$0" -m edxconsole --hosts {hosts} {closed}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
        env=environment(hosts.parent),
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stdout + done.stderr
    if "2>&-" not in closed:
        assert done.stderr.decode().startswith(
            "edxconsole: the console needs a terminal; use `edxconsole status`"
        )


def test_a_defect_is_one_sentence_and_status_70(hosts: Path) -> None:
    """A widget that fails while the screen is open."""
    broken = hosts.parent / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import sys, importlib.abc\n"
        "class F(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'screens.help': raise ZeroDivisionError('secret in here')\n"
        "sys.meta_path.insert(0, F())\n"
    )
    root = environment(hosts.parent)["PYTHONPATH"]
    more = {"PYTHONPATH": f"{broken}:{root}"}
    with terminal(hosts.parent, "--hosts", str(hosts), more=more) as console:
        console.until("COMPONENTS")
        console.read(1.0)
        console.type("?")
        assert console.ended() == 70
        console.assert_given_back()
        last = console.text[console.text.rindex("edxconsole ended") :]
        assert "ZeroDivisionError" in last
        assert "secret" not in last
        assert "NOTE" not in last
        assert "edxconsole.log" in last.replace("\r\n", "")
        assert "ZeroDivisionError: secret in here" in console.log()


def test_a_mistake_in_hosts_yaml_opens_no_screen(hosts: Path) -> None:
    hosts.write_text("hosts:\n  web1: {adress: 192.0.2.1}\n")
    with terminal(hosts.parent, "--hosts", str(hosts)) as console:
        assert console.ended() == 2
        assert ENTERED not in console.seen
        assert "did you mean 'address'?" in console.text
        console.assert_given_back()
    assert command(hosts.parent, "--hosts", str(hosts), "status").status == 2
