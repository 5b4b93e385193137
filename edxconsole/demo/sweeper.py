"""`python -m edxconsole.demo.sweeper DIRECTORY`: removes what a killed demo leaves in its directory.

The kernel ends the processes, links and mounts of a killed demo; its files, a private key among them, need
somebody who outlives it. The demo holds our stdin: a line there tells that it cleaned up itself.
"""

from __future__ import annotations

import signal
import sys
import time

_PATIENCE = 10.0
"""seconds in which the lock of a killed demo becomes free"""


def main() -> None:
    """Entry point."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.readline().strip() == "done":
        return
    # Imported only now: until then it waits in as little memory as Python takes.
    from pathlib import Path

    from edxconsole.demo.state import StateDir

    state = StateDir(Path(sys.argv[1]))
    end = time.monotonic() + _PATIENCE
    while state.held() and time.monotonic() < end:
        time.sleep(0.05)
    state.clean()


if __name__ == "__main__":
    main()
