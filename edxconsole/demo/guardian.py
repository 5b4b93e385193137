"""`python -m edxconsole.demo.guardian`: the parent of a demo without namespaces.

stdin: one JSON line, {base, services: [{argv, env, cwd, log}]}; then it stays open. When it closes, however
the launcher ended, every descendant is killed (as a subreaper it has adopted what was orphaned), and so is
what `edxconsole demo --break` started from another shell, known by EDX_DEMO_ROOT in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edxconsole.demo import linux
from edxconsole.demo.namespaces import process_tree, signal_all

_PATIENCE = 5.0


def marked(base: str) -> list[int]:
    """Processes of this user whose EDX_DEMO_ROOT lies below `base`."""
    mark = f"EDX_DEMO_ROOT={base}/".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                environ = Path(entry.path, "environ").read_bytes()
                if any(word.startswith(mark) for word in environ.split(b"\0")):
                    found.append(int(entry.name))
    return found


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def main() -> None:
    """Entry point."""
    linux.adopt_orphans()
    plan = json.loads(sys.stdin.readline())
    for service in plan["services"]:
        Path(service["log"]).parent.mkdir(parents=True, exist_ok=True)
        with open(service["log"], "ab") as log:
            subprocess.Popen(
                service["argv"],
                env=service["env"],
                cwd=service["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    signal.signal(signal.SIGCHLD, _reap)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    deadline = time.monotonic() + _PATIENCE

    def ours() -> list[int]:
        return [*process_tree(os.getpid())[1:], *marked(plan["base"])]

    while ours() and time.monotonic() < deadline:
        signal_all(ours, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
