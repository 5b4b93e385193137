"""edxconsole as an operator runs it: on a pty of its own, or in a pipe; and what must hold afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"
SWITCHES = {
    "alternate screen": (ENTERED, LEFT),
    "cursor": (b"\x1b[?25l", b"\x1b[?25h"),
    "mouse": (b"\x1b[?1000h", b"\x1b[?1000l"),
    "mouse motion": (b"\x1b[?1003h", b"\x1b[?1003l"),
    "bracketed paste": (b"\x1b[?2004h", b"\x1b[?2004l"),
    "focus reports": (b"\x1b[?1004h", b"\x1b[?1004l"),
    "kitty keys": (b"\x1b[>1u", b"\x1b[<u"),
}
"""what a program may switch on in a terminal, and what takes it back"""

_STEERING = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b.")
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""what a command may never print into a pipe"""


def environment(directory: Path, **more: str) -> dict[str, str]:
    """Ours, with all that edxconsole keeps under `directory`."""
    # xdist's workers have COLUMNS and LINES of their own, which would win over the terminal's size.
    dropped = ("EDXCONSOLE_HOSTS", "NO_COLOR", "COLUMNS", "LINES")
    kept = {k: v for k, v in os.environ.items() if k not in dropped}
    xdg = {f"XDG_{kind}_HOME": str(directory / kind.lower()) for kind in ("STATE", "CONFIG", "CACHE")}
    return {**kept, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **xdg, **more}


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err


def command(
    directory: Path,
    *arguments: str,
    prefix: Sequence[str] = (),
    limit: float = 60.0,
    more: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command in a pipe, without a terminal. No traceback, nothing that steers a terminal."""
    begun = time.monotonic()
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "edxconsole", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limit,
        check=False,
        cwd=directory,
        env=environment(directory, **(more or {})),
        start_new_session=True,
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode(), time.monotonic() - begun)
    assert "Traceback" not in ended.said, ended.said
    assert not UNSAFE.search(ended.said), ended.said
    return ended


class Terminal:
    """edxconsole in a pty that is its controlling terminal; `seen` is all it wrote."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        size: tuple[int, int] = (120, 36),
        prefix: Sequence[str] = (),
        **more: str,
    ) -> None:
        self.directory = directory
        self.seen = b""
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, True)
        self.resize(*size)
        self.before = self.stty()
        variables = {"TERM": "xterm-256color", "COLORTERM": "truecolor", **more}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "edxconsole", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environment(directory, **variables),
            cwd=directory,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )

    def stty(self) -> str:
        """`stty -a` of this terminal, without its size."""
        argv = ["stty", "-a", "-F", os.ttyname(self.slave)]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return said.split(";", 3)[3]

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def text(self) -> str:
        """All it wrote, without what steers a terminal: words stay findable where they were painted whole."""
        return _STEERING.sub(b"", self.seen).decode("utf-8", "replace")

    def read(self, seconds: float) -> None:
        """Take what comes within so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.master, 65536)

    def until(self, *wanted: str, timeout: float = 30.0) -> None:
        """Read on until all of these were written."""
        end = time.monotonic() + timeout
        while not all(word in self.text for word in wanted):
            assert time.monotonic() < end, f"no {self._lacking(wanted)} in: {self.text[-3000:]}"
            assert self.process.poll() is None or self._drained(), f"ended without {wanted}: {self.text}"
            self.read(0.1)

    def _lacking(self, wanted: Sequence[str]) -> list[str]:
        return [word for word in wanted if word not in self.text]

    def _drained(self) -> bool:
        before = len(self.seen)
        self.read(0.1)
        return len(self.seen) > before

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self, timeout: float = 10.0) -> int:
        """Its exit status; it must end in time."""
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still runs after {timeout} s: {self.text[-2000:]}"
            self.read(0.05)
        self.read(0.2)
        return self.process.returncode

    def assert_given_back(self) -> None:
        """Every switch that was thrown is back, the line discipline is as before, no traceback was shown."""
        for what, (on, off) in SWITCHES.items():
            assert self.seen.rfind(off) >= self.seen.rfind(on), f"{what} is not given back"
        assert self.stty() == self.before
        assert "Traceback" not in self.text, self.text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def log(self) -> str:
        """The log file; "" when there is none."""
        path = self.directory / "state/edxconsole/edxconsole.log"
        return path.read_text() if path.exists() else ""


@contextlib.contextmanager
def terminal(
    directory: Path,
    *arguments: str,
    size: tuple[int, int] = (120, 36),
    prefix: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """A Terminal that is gone afterwards."""
    made = Terminal(directory, *arguments, size=size, prefix=prefix, **(more or {}))
    try:
        yield made
    finally:
        made.close()


def _take_terminal() -> None:
    """In the child: its stdin becomes its controlling terminal, so that Ctrl-C and hang-ups arrive.

    What the tests were started with (nohup) does not reach it, as it would not from a terminal.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def descendants(pid: int) -> list[int]:
    """Every process under this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                # Bytes: another test's process may have a name that is no text.
                parent = int((entry / "stat").read_bytes().rsplit(b") ", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found
