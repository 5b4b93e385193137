"""`python -m edxconsole.demo.sweeper DIRECTORY`: removes what a killed demo leaves in its directory.

The kernel ends the processes, links and mounts of a killed demo; its files, a private key among them, need
somebody who outlives it. The demo holds our stdin: a line there tells that it cleaned up itself.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from edxconsole.demo.namespaces import module_command
from edxconsole.demo.state import StateDir

_PATIENCE = 10.0
"""seconds in which the lock of a killed demo becomes free"""


class Sweeper:
    """A running sweeper. It must be dismissed after an orderly end, and sweeps after any other."""

    def __init__(self, state: StateDir) -> None:
        self._process = subprocess.Popen(
            [*module_command("sweeper"), str(state.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Everything is removed already."""
        stdin: IO[bytes] | None = self._process.stdin
        assert stdin is not None
        try:
            with stdin:
                stdin.write(b"done\n")
        except BrokenPipeError:
            pass  # it was killed: nothing to dismiss
        self._process.wait()


def main() -> None:
    """Entry point."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.readline().strip() == "done":
        return
    state = StateDir(Path(sys.argv[1]))
    end = time.monotonic() + _PATIENCE
    while state.held() and time.monotonic() < end:
        time.sleep(0.05)
    state.clean()


if __name__ == "__main__":
    main()
