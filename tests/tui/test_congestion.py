"""A terminal that takes nothing for four seconds, while the console has something new 25 times a second."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tui.repainting import LAST

ROOT = Path(__file__).parents[2]
STOPPED = 4.0


@dataclass(frozen=True, slots=True)
class Seen:
    worst: float
    """longest pause of the console's loop, in seconds"""
    written: bytes
    status: int


def stop_reading(directory: Path, *more: str) -> Seen:
    """Run the repainting console on a pty: read, read nothing for four seconds, read on to its end."""
    report = directory / "report.json"
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    console = subprocess.Popen(
        [sys.executable, "-m", "tests.tui.repainting", str(report), *more],
        stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    written = b""
    try:
        end = time.monotonic() + 40
        while b"PROBLEMS" not in written:
            assert time.monotonic() < end, written[-500:]
            written += _read(master)
        time.sleep(STOPPED)
        while console.poll() is None:
            assert time.monotonic() < end, written[-500:]
            written += _read(master)
        written += _read(master)
        return Seen(json.loads(report.read_text())["worst"], written, console.returncode)
    finally:
        if console.poll() is None:
            console.kill()
            console.wait()
        os.close(master)
        os.close(slave)


def _read(master: int) -> bytes:
    return os.read(master, 1 << 16) if select.select([master], [], [], 0.1)[0] else b""


@pytest.mark.slow
def test_the_loop_goes_on_and_the_newest_frame_comes(tmp_path: Path) -> None:
    seen = stop_reading(tmp_path)
    assert seen.status == 0
    assert seen.worst < STOPPED / 4
    assert LAST.encode() in seen.written


@pytest.mark.slow
def test_without_the_gate_the_loop_would_stand_still(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    assert stop_reading(tmp_path, "no-gate").worst > STOPPED / 2
