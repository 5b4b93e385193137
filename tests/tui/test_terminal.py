"""The console on a real terminal: given back on every way out, alive through suspend and resizes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
MOUSE_OFF, CURSOR_ON = b"\x1b[?1000l", b"\x1b[?25h"


class Console:
    """edxconsole on this machine in a pty; `seen` is all it wrote."""

    def __init__(
        self, directory: Path, *, size: tuple[int, int] = (120, 36), hosts: str | None = None
    ) -> None:
        path = directory / "hosts.yaml"
        path.write_text(hosts or "cluster: t\nenvironment: development\nhosts:\n  here: {transport: local}\n")
        self.seen = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(slave)
        inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        env = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        env |= {f"XDG_{kind}_HOME": str(directory / kind) for kind in ("STATE", "CONFIG", "CACHE")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edxconsole", "--hosts", str(path)],
            stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
        )  # fmt: skip
        self.slave = slave

    def read_until(self, wanted: bytes, timeout: float = 25.0) -> None:
        """Read on until it wrote this. Answers the terminal's questions no one asks here."""
        end = time.monotonic() + timeout
        while wanted not in self.seen:
            assert time.monotonic() < end, self.seen[-2000:]
            self.read(0.1)

    def read(self, seconds: float) -> None:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            with contextlib.suppress(OSError):
                self.seen += os.read(self.master, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self, timeout: float = 20.0) -> int:
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, self.seen[-2000:]
            self.read(0.1)
        for _ in range(20):
            self.read(0.02)
        return self.process.returncode

    def assert_given_back(self) -> None:
        after = self.seen[self.seen.rindex(ENTERED) :]
        for wanted in (LEFT, MOUSE_OFF, CURSOR_ON):
            assert wanted in after, wanted
        now = termios.tcgetattr(self.slave)
        assert now[3] & (termios.ECHO | termios.ICANON) == self.before[3] & (termios.ECHO | termios.ICANON)
        assert b"Traceback" not in self.seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    opened = Console(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("keys", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_the_terminal_is_given_back_on_leaving(console: Console, keys: bytes) -> None:
    console.read_until(b"COMPONENTS")
    console.type(keys)
    assert console.ended() == 0
    console.assert_given_back()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_and_when_it_is_told_to_end(console: Console, number: signal.Signals) -> None:
    console.read_until(b"COMPONENTS")
    console.read(1.0)
    console.process.send_signal(number)
    assert console.ended() == 128 + number
    console.assert_given_back()


def test_it_comes_back_from_the_background(console: Console) -> None:
    console.read_until(b"COMPONENTS")
    console.read(1.0)
    console.type(b"\x1a")
    end = time.monotonic() + 10
    while Path(f"/proc/{console.process.pid}/stat").read_text().rsplit(") ", 1)[1][0] != "T":
        assert time.monotonic() < end
        console.read(0.1)
    console.read_until(LEFT)  # it may have stopped since the last read: what it wrote is still to be read
    console.seen = b""
    console.process.send_signal(signal.SIGCONT)
    console.read_until(ENTERED)
    console.read_until(b"COMPONENTS")
    console.type(b"q")
    assert console.ended() == 0


def test_a_stray_sigcont_leaves_one_terminal_to_give_back(console: Console) -> None:
    """As after `kill -STOP`, or when a terminal hangs up: it must not take raw mode for what was before."""
    console.read_until(b"COMPONENTS")
    console.read(1.0)
    for _ in range(3):
        console.seen = b""
        console.process.send_signal(signal.SIGCONT)
        console.read_until(ENTERED)
        console.read_until(b"COMPONENTS")
    console.type(b"q")
    assert console.ended() == 0
    console.assert_given_back()


def test_a_storm_of_resizes_does_not_stop_it(console: Console) -> None:
    console.read_until(b"COMPONENTS")
    for size in ((100, 30), (140, 40)) * 8:
        fcntl.ioctl(console.slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        console.process.send_signal(signal.SIGWINCH)
        time.sleep(0.15)
    console.type(b"q")
    assert console.ended() == 0
    console.assert_given_back()


def test_a_mistake_in_hosts_yaml_is_a_sentence_and_no_screen(tmp_path: Path) -> None:
    console = Console(tmp_path, hosts="hosts:\n  web1: {adress: 192.0.2.1}\n")
    try:
        assert console.ended() == 2
        assert ENTERED not in console.seen
        assert b"adress" in console.seen
        assert b"Traceback" not in console.seen
    finally:
        console.close()
