"""A hand on a host: does things there at once and says when, by the clock that all hosts share."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.lab.host import LabHost

_PROGRAM = """
import json, os, signal, socket, sys, time
ports, files = {}, {}
def kill(pid): os.kill(pid, signal.SIGKILL)
def open_port(port):
    ports[port] = s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', port)); s.listen(1)
def close_port(port): ports.pop(port).close()
def append(path, text):
    if path not in files: files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(files[path], text.encode())
def now(): pass
verbs = {'kill': kill, 'open': open_port, 'close': close_port, 'append': append, 'now': now}
for line in sys.stdin:
    verb, *arguments = json.loads(line)
    at = time.monotonic()
    verbs[verb](*arguments)
    print(at, flush=True)
"""


class Hand:
    """One helper process on a host. Every method returns time.monotonic() right before the act."""

    def __init__(self, host: LabHost) -> None:
        self._process = subprocess.Popen(
            host.box.command(["python3", "-I", "-u", "-c", _PROGRAM]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._do("now")

    def kill(self, pid: int) -> float:
        """kill -9, by the host's own numbering."""
        return self._do("kill", pid)

    def open_port(self, port: int) -> float:
        return self._do("open", port)

    def close_port(self, port: int) -> float:
        return self._do("close", port)

    def append(self, path: str, text: str) -> float:
        return self._do("append", path, text)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _do(self, verb: str, *arguments: Any) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())
