"""What is there when the first frame is painted: the hosts, and nothing that it does not show."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.support.terminal import environment

NAME = "first-of-all"
LATER = {
    "asyncssh", "click", "cryptography", "edxconsole.catalog.loader", "edxconsole.catalog.model",
    "edxconsole.engine", "edxconsole.inventory.hostsfile", "edxconsole.probe.frames", "edxconsole.services",
    "edxconsole.transport", "httpcore", "httpx", "jeepney", "paramiko", "psutil",
    "pydantic", "pydantic_core", "screens.acting", "screens.component", "screens.health", "screens.help",
    "screens.host", "screens.inspect", "screens.logs", "screens.palette", "screens.prompting",
}  # fmt: skip
"""what cost more than it gave before there was something to see"""

CHILD = f"""
import os, sys
from textual.drivers.linux_driver import LinuxDriver

write = LinuxDriver.write

def watched(driver, data):
    write(driver, data)
    if {NAME!r} in data:
        with open(sys.argv[1], "w") as out:
            print(*sys.modules, file=out)
            print(data, file=out)
        os._exit(0)

LinuxDriver.write = watched
from edxconsole import cli
cli.run(["--hosts", sys.argv[2]])
"""


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], str]:
    """The modules that were imported by then, and the first frame with a host in it."""
    folder = tmp_path_factory.mktemp("first")
    hosts, out = folder / "hosts.yaml", folder / "out"
    hosts.write_text(f"hosts:\n  {NAME}: {{address: 192.0.2.1}}\nexpect: {{{NAME}: [lms]}}\n")
    master, slave = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", CHILD, str(out), str(hosts)],
            stdin=slave, stdout=slave, stderr=subprocess.PIPE, timeout=50, check=True,
            env=environment(folder, TERM="xterm-256color", COLUMNS="120", LINES="36"),
        )  # fmt: skip
    finally:
        os.close(slave)
        os.close(master)
    modules, _, frame = out.read_text().partition("\n")
    return set(modules.split()), frame


def test_nothing_is_imported_that_the_first_frame_does_not_show(painted: tuple[set[str], str]) -> None:
    modules, _ = painted
    assert "screens.cluster" in modules
    assert sorted(LATER & modules) == []


def test_it_is_a_whole_screen_that_claims_nothing(painted: tuple[set[str], str]) -> None:
    """Each host waits, said so; status line and keys are there."""
    _, frame = painted
    assert "waiting" in frame
    assert "1 connecting" in frame
    assert "READ-ONLY" in frame
    assert "Filter" in frame
