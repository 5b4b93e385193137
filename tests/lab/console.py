"""The command line as an operator runs it, on test hosts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Console:
    """`edxconsole` in a shell of its own, with an empty state directory."""

    def __init__(self, hosts: Path, state: Path) -> None:
        self.hosts = hosts
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(state / "state"),
            "XDG_CONFIG_HOME": str(state / "config"),
            "EDXCONSOLE_HOSTS": str(hosts),
        }
        self.argv = [sys.executable, "-m", "edxconsole"]

    def run(self, *arguments: str, status: int | None = 0) -> str:
        """stdout; the exit status must be `status`, and nothing printed may steer a terminal."""
        done = subprocess.run(
            [*self.argv, *arguments],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=self.environment,
        )
        assert "Traceback" not in done.stderr
        assert not UNSAFE.search(done.stdout + done.stderr)
        assert status is None or done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str, status: int | None = 0) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.run(*arguments, "--json", status=status))
        assert body["schema"] == "edxconsole/1"
        return body

    def typed(self, *arguments: str, answers: dict[str, str]) -> tuple[int, str]:
        """Exit status and output on a real pty, where each prompt that appears is answered once."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(sys.executable, [*self.argv, *arguments], {**self.environment, "TERM": "xterm"})
        got, left, end = "", dict(answers), time.monotonic() + 60
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                got += os.read(terminal, 65536).decode("utf-8", "replace")
            except OSError:
                break
            for prompt in [p for p in left if p in got]:
                os.write(terminal, left.pop(prompt).encode() + b"\n")
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), got
