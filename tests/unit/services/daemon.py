"""Real supervisords of the versions Open edX has shipped, started for a test in a directory of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edxconsole.services.supervisor import SupervisorPlace

VERSIONS = ("3.0", "3.1.3", "3.2.3", "4.2.1", "4.3.0")
PYENV = Path.home() / ".pyenv" / "versions"
_PINS = {
    "3.0": ("2.7", ["supervisor==3.0", "meld3==1.0.2"]),
    "3.1.3": ("2.7", ["supervisor==3.1.3", "meld3==1.0.2"]),
    "3.2.3": ("2.7", ["supervisor==3.2.3", "meld3==1.0.2"]),
    "4.2.1": ("3.8", ["supervisor==4.2.1", "setuptools<70"]),
}

CONF = """
[unix_http_server]
file={home}/s.sock
chmod=0700
{unix_auth}
{inet}
[supervisord]
logfile={home}/supervisord.log
pidfile={home}/s.pid
childlogdir={home}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:lms]
command={sleeper}
startsecs=0
[program:chatty]
command=/bin/sh -c 'while :; do echo the quick brown fox; sleep 0.1; done'
startsecs=0
[program:broken]
command=/bin/sh -c 'echo "ImportError: No module named lms" >&2; exit 3'
autostart=false
startretries=1
[program:flaky]
command=/bin/sh -c 'if [ -e {home}/tried ]; then exec sleep 1000; else touch {home}/tried; exit 1; fi'
autostart=false
[program:missing]
command=/nonexistent/gunicorn
autostart=false
startretries=0
[program:slow]
command={python} {home}/slow.py {slow}
stopwaitsecs=60
startsecs=0
[program:oneshot]
command=/bin/true
autostart=false
startsecs=0
autorestart=false
[program:crasher]
command=/bin/sh -c 'sleep 1.4; exit 1'
autostart=false
[program:ender]
command=/bin/sh -c 'sleep 1.4'
autostart=false
autorestart=true
[program:lms_default_1]
command={sleeper}
startsecs=0
[program:lms_high_1]
command={sleeper}
startsecs=0
[group:edxapp_worker]
programs=lms_default_1,lms_high_1
"""

SLOW = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: (time.sleep(float(sys.argv[1])), sys.exit(0)))
time.sleep(1000)
"""


def cache() -> Path:
    """Where the old versions stay installed between runs."""
    base = Path("/var/cache") if os.geteuid() == 0 else Path(os.environ.get("XDG_CACHE_HOME", "/tmp"))
    return base / "edxconsole-lab"


def command(version: str) -> tuple[list[str], dict[str, str]]:
    """argv and environment that start supervisord of a version; installs it once, skips when it can't."""
    if version not in _PINS:
        return [sys.executable, "-m", "supervisor.supervisord"], {}
    python_version, pins = _PINS[version]
    found = sorted(PYENV.glob(f"{python_version}.*/bin/python"))
    if not found:
        pytest.skip(
            f"left out: supervisor {version} needs Python {python_version} (pyenv install {python_version})"
        )
    target = cache() / f"supervisor-{version}"
    if not target.exists():
        _install(str(found[0]), pins, target)
    script = "from supervisor.supervisord import main; main()"
    return [str(found[0]), "-W", "ignore", "-c", script], {"PYTHONPATH": str(target)}


def _install(python: str, pins: list[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(fresh), *pins],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(fresh)
        pytest.skip(f"left out: {pins[0]} can't be installed from the package index")
    try:
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh)


@dataclass
class Daemon:
    """A supervisord on this machine. `stop()` ends it and everything it started."""

    version: str
    home: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="sup")))
    inet: str = ""
    unix_auth: str = ""
    slow: float = 2.0
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.home / "s.sock"

    @property
    def place(self) -> SupervisorPlace:
        return SupervisorPlace(
            f"supervisor:{self.socket}", f"unix:{self.socket}", "root", str(self.home / "s.conf"), self.pid
        )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> Daemon:
        sleeper = "/bin/sleep 1000"
        text = CONF.format(
            home=self.home,
            inet=self.inet,
            unix_auth=self.unix_auth,
            sleeper=sleeper,
            python=sys.executable,
            slow=self.slow,
        )
        (self.home / "s.conf").write_text(text)
        (self.home / "slow.py").write_text(SLOW)
        argv, environment = command(self.version)
        with (self.home / "out").open("wb") as output:
            self.process = subprocess.Popen(
                [*argv, "-n", "-c", str(self.home / "s.conf")],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_socket()
        return self

    def _wait_socket(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.socket)) == 0:
                    return
            assert self.process is not None
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"supervisord {self.version} did not start: {(self.home / 'out').read_text()}")

    def restart(self) -> None:
        """End this supervisord and its programs, start another in the same place."""
        self._end()
        self.start()

    def kill(self) -> None:
        """End it and its programs; the directory stays."""
        self._end()

    def stop(self) -> None:
        self._end()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self) -> None:
        if self.process is None:
            return
        children = _descendants(self.process.pid)
        for pid in (self.process.pid, *children):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self.socket.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
