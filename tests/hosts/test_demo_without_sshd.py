"""The demo on a machine without sshd: one SSH server process stands in for the sshd of every host."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.xdist_group("demo-without-sshd"),
    pytest.mark.timeout(240),
]

REPOSITORY = Path(__file__).resolve().parents[2]
HIDE = (
    'for f in sshd nginx mariadbd memcached redis-server; do p=$(command -v "$f" || :); '
    '[ -z "$p" ] || mount --bind /dev/null "$(readlink -f "$p")"; done; exec "$@"'
)


def ssh(state: Path, host: str, *words: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-F", str(state / "ssh_config"), *words[:-1], host, words[-1]],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """The state directory of a running demo that finds no daemon of the machine."""
    runtime = Path(tempfile.mkdtemp(prefix="edxdemo"))
    process = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-euc", HIDE, "sh",
         sys.executable, "-m", "edxconsole", "demo", "--headless"],
        stdout=subprocess.PIPE, cwd=REPOSITORY,
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(runtime)},
    )  # fmt: skip
    assert process.stdout
    try:
        line = process.stdout.readline().decode().strip()
        assert line
        yield Path(line).parent
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stdout.close()
        shutil.rmtree(runtime)


def test_a_session_is_a_process_of_its_host(state: Path) -> None:
    for name in ("web", "app1", "app2", "data"):
        done = ssh(state, name, "hostname; id -un; pwd; echo $$; ps -o pid= -p $$; exit 3")
        host, user, home, own, seen = done.stdout.split()
        assert (host, user, home, done.returncode) == (name, "ops", "/home/ops", 3)
        assert own == seen
    assert ssh(state, "data", "ps -eo args").stdout.count("lms_gunicorn") == 0
    assert "/dev/pts/0" in ssh(state, "app1", "-tt", "tty").stdout


def test_forwards_connect_inside_the_host(state: Path) -> None:
    request = b"GET /heartbeat HTTP/1.0\r\n\r\n"
    for target, host, expected in (("127.0.0.1:8000", "app1", b"200 OK"), ("localhost:8000", "data", b"")):
        done = subprocess.run(
            ["ssh", "-F", str(state / "ssh_config"), "-W", target, host],
            input=request, capture_output=True, timeout=20,
        )  # fmt: skip
        assert expected in done.stdout
        assert (done.returncode != 0) == (expected == b""), done.stderr


def test_it_fits_in_400_mib(state: Path) -> None:
    from edxconsole.demo.namespaces import process_tree

    kib = 0
    for pid in process_tree(int((state / "holder").read_text())):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])  # type: ignore[index]
    assert 100 < kib / 1024 <= 400


def test_a_frozen_host_greets_nobody_and_goes_on_afterwards(state: Path) -> None:
    command = [sys.executable, "-m", "edxconsole", "demo"]
    env = os.environ | {"XDG_RUNTIME_DIR": str(state.parent), "HOME": str(state.parent)}
    subprocess.run([*command, "--break", "host-frozen"], check=True, env=env, cwd=REPOSITORY, timeout=60)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            ssh(state, "app2", "true", timeout=3)
        assert ssh(state, "app1", "true").returncode == 0
    finally:
        subprocess.run([*command, "--mend"], check=True, env=env, cwd=REPOSITORY, timeout=60)
    deadline = time.monotonic() + 20
    while ssh(state, "app2", "true").returncode:
        assert time.monotonic() < deadline
