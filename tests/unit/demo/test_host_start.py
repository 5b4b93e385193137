"""What a host and its keeper tell of its start, in whatever order and pieces it comes."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edxconsole.demo.hostspec import HostSpec
from edxconsole.demo.namespaces import HostBox, wait_ready
from edxconsole.errors import DemoError

SPEC = HostSpec(name="app1", address="10.88.1.21")
PID, READY = b'{"pid": 4711}\n', b'{"ready": true}\n'


def told(*pieces: bytes) -> HostBox:
    """Of a keeper that writes these, a moment apart, and ends."""
    program = "import os, sys, time\nfor p in sys.argv[1:]: os.write(1, p.encode()); time.sleep(0.05)"
    argv = [sys.executable, "-c", program, *(p.decode() for p in pieces)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as keeper:
        return wait_ready(SPEC, keeper, time.monotonic() + 20)


@pytest.mark.parametrize(
    "pieces", [(PID, READY), (READY, PID), (READY + PID,), (PID[:5], PID[5:] + READY[:3], READY[3:])]
)
def test_the_host_has_its_pid_whoever_speaks_first(pieces: tuple[bytes, ...]) -> None:
    """A pid of 0 would be our own process group to kill()."""
    assert told(*pieces).pid == 4711


@pytest.mark.parametrize("pieces", [(), (READY,), (PID,)])
def test_half_a_start_is_none(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(DemoError, match="app1: the host's process ended while it was being made"):
        told(*pieces)


def test_what_the_host_says_went_wrong_is_said() -> None:
    with pytest.raises(DemoError, match="the host can't be made: no space"):
        told(PID, b'{"error": "no space"}\n')


@pytest.mark.parametrize("pid", [0, 1, -1])
def test_no_box_stands_for_a_process_that_must_not_be_killed(pid: int) -> None:
    with subprocess.Popen(["true"]) as keeper, pytest.raises(ValueError, match="no host's process"):
        HostBox(SPEC, pid, keeper)
