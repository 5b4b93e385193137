"""The embedded demo cluster, started from outside as another shell of the same user would start it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Demo:
    """A demo started headless by `edxconsole demo`, with a state directory of its own."""

    runtime: Path
    process: subprocess.Popen[bytes]
    hosts: Path
    seconds: float
    wrap: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        return self.hosts.parent

    @property
    def holder(self) -> int:
        return int((self.state / "holder").read_text())

    def ssh(self, host: str, command: str, timeout: float = 20) -> str:
        done = subprocess.run(
            [*self.wrap, "ssh", "-F", str(self.state / "ssh_config"), host, command],
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.wrap, *demo_command(), *arguments],
            capture_output=True, text=True, timeout=90, env=environment(self.runtime), cwd=REPOSITORY,
        )  # fmt: skip

    def heartbeat(self, host: str = "app1") -> int:
        script = (
            "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000); "
            "c.request('GET', '/heartbeat'); print(c.getresponse().status)"
        )
        return int(self.ssh(host, f'/edx/app/edxapp/venvs/edxapp/bin/python -c "{script}"'))

    def states(self, host: str) -> dict[str, str]:
        rows = self.ssh(host, "/edx/bin/supervisorctl status || :").splitlines()
        return {row.split()[0]: row.split()[1] for row in rows}


def demo_command() -> list[str]:
    return [sys.executable, "-m", "edxconsole", "demo"]


def environment(runtime: Path) -> dict[str, str]:
    return os.environ | {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(runtime)}


@contextlib.contextmanager
def demo(runtime: Path, wrap: tuple[str, ...] = ()) -> Iterator[Demo]:
    """Start one and wait for the path it prints; killed at the end whatever happened."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*wrap, *demo_command(), "--headless"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(runtime), cwd=REPOSITORY,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    try:
        line = process.stdout.readline().decode().strip()
        assert line, process.stderr.read().decode()
        yield Demo(runtime, process, Path(line), time.monotonic() - began, wrap)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def runtime_directory(owner: int | None = None) -> Path:
    """Short, since supervisord's socket has to fit into 108 bytes."""
    path = Path(tempfile.mkdtemp(prefix="edxdemo"))
    path.chmod(0o700)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def eventually(
    check: Callable[[], object], seconds: float = 30, tell: Callable[[], object] | None = None
) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not after {seconds} s: {tell() if tell else ''}"
        time.sleep(0.2)


def identities(pids: list[int]) -> dict[int, str]:
    """pid -> start time, of those that live."""
    found = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
            if fields[0] != "Z":
                found[pid] = fields[19]
    return found


def assert_gone(before: dict[int, str]) -> None:
    def left() -> list[int]:
        return [p for p, start in identities(list(before)).items() if start == before[p]]

    eventually(lambda: left() == [], 10, left)


def as_ordinary_user() -> tuple[str, ...]:
    """A prefix that runs a command as nobody, who can pass what closed directories Python and we lie in."""
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    wanted = {os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, REPOSITORY)}
    inner = sorted(p for p in wanted if not any(p.startswith(f"{other}/") for other in wanted))
    closed = {path: top for path in inner if (top := closed_above(Path(path)))}
    if not closed:
        return drop
    lines = ["mount -t tmpfs tmpfs /mnt"]
    for number, path in enumerate(closed):
        lines.append(f"mkdir /mnt/{number}; mount --bind {shlex.quote(path)} /mnt/{number}")
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(top)}" for top in sorted(set(closed.values()))]
    for number, path in enumerate(closed):
        lines.append(f"mkdir -p {shlex.quote(path)}; mount --move /mnt/{number} {shlex.quote(path)}")
    script = "; ".join([*lines, 'exec "$@"'])
    return ("unshare", "-m", "--propagation", "private", "sh", "-euc", script, "sh", *drop)


def closed_above(path: Path) -> str | None:
    """The topmost directory above `path` that others can't pass."""
    above = [parent for parent in path.parents if not parent.stat().st_mode & 0o001]
    return str(above[-1]) if above else None
