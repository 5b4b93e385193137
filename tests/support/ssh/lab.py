"""Real OpenSSH servers for the transport's tests, on 127.0.0.x, with users, passwords and sudo.

They run in a mount and pid namespace of their own: /etc is an overlay and /home a tmpfs, so the
machine's users and sudoers stay as they are, and when the namespace's first process ends the
kernel ends everything in it. Needs root. The network is the machine's.

Users: ops (password, keys, sudo for everything), dev (keys, no sudo), svc (owns sockets).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PASSWORD = "Sesame-1"
PASSPHRASE = "correct horse"

_SETUP = r"""
set -e
mount -t proc proc /proc
mkdir "$1/ov" && mount -t tmpfs tmpfs "$1/ov" && mkdir "$1/ov/u" "$1/ov/w"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/ov/u,workdir=$1/ov/w" /etc
mount -t tmpfs -o mode=755 tmpfs /home
mkdir -p /run/sshd
for user in ops dev svc; do
    useradd -M -s /bin/bash -d "/home/$user" "$user"
    mkdir -p "/home/$user/.ssh"
    cat "$1/id.pub" "$1/locked.pub" > "/home/$user/.ssh/authorized_keys"
    chown -R "$user:" "/home/$user"
done
echo "ops:$2" | chpasswd
echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab
echo ready
sleep infinity &
while :; do wait; done
"""


@dataclass
class Sshd:
    """A running sshd."""

    address: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    host_keys: tuple[Path, ...]

    def known_hosts_line(self, key: Path | None = None) -> str:
        words = Path(f"{key or self.host_keys[0]}.pub").read_text().split()
        return f"[{self.address}]:{self.port} {words[0]} {words[1]}\n"

    @property
    def logged(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def stop(self) -> None:
        """nsenter waits for the sshd inside and ends with it; ending the namespace ends both."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)


@dataclass
class SshLab:
    """The namespace, its keys and its servers."""

    directory: Path
    init: subprocess.Popen[bytes]
    pid: int
    """of the namespace's first process, as seen from outside"""
    servers: list[Sshd] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10))

    @property
    def key(self) -> Path:
        return self.directory / "id"

    @property
    def locked_key(self) -> Path:
        return self.directory / "locked"

    def host_key(self, kind: str = "ed25519", name: str = "host") -> Path:
        path = self.directory / f"{name}_{kind}"
        if not path.exists():
            keygen(path, kind)
        return path

    def sshd(self, *lines: str, host_keys: Sequence[Path] = (), address: str = "", port: int = 0) -> Sshd:
        """Start one, with more lines of sshd_config (the first of a keyword wins)."""
        number = next(self._numbers)
        address = address or f"127.0.77.{number}"
        port = port or free_port(address)
        keys = tuple(host_keys) or (self.host_key(),)
        config = self.directory / f"sshd_{number}"
        config.write_text(
            "\n".join(
                (
                    *lines,
                    f"Port {port}",
                    f"ListenAddress {address}",
                    *(f"HostKey {k}" for k in keys),
                    "PidFile none",
                    "UsePAM yes",
                    "LogLevel VERBOSE",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "",
                )
            )
        )
        log = self.directory / f"log_{number}"
        process = subprocess.Popen(
            [*self._enter(), "/usr/sbin/sshd", "-D", "-E", str(log), "-f", str(config)],
            stdin=subprocess.DEVNULL,
        )
        server = Sshd(address, port, process, log, keys)
        self.servers.append(server)
        _wait_listening(server)
        return server

    def run(self, *argv: str) -> str:
        """Run as root inside; its stdout."""
        done = subprocess.run(
            [*self._enter(), *argv], capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout

    def signal_sessions(self, user: str, name: str) -> None:
        """Signal the processes of sshd that serve a user; a pattern is safe in our pid namespace."""
        self.run("pkill", f"-{name}", "-f", f"^sshd: {user}")

    def alive(self, command: str) -> bool:
        """Whether a process with this command line runs, inside or outside."""
        found = subprocess.run(["pgrep", "-f", f"^{command}"], stdout=subprocess.DEVNULL, check=False)
        return found.returncode == 0

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for server in self.servers:
            server.stop()
        self.init.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "--"]


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "lab", "-f", str(path)], check=True
    )


def free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]
        return port


def _wait_listening(server: Sshd) -> None:
    """By asking the log, not the port: a connection would count as an unauthenticated one."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if server.log.exists() and f"port {server.port}" in server.logged:
            return
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"sshd did not start: {server.logged if server.log.exists() else 'no log'}")


@contextlib.contextmanager
def ssh_lab() -> Iterator[SshLab]:
    directory = Path(tempfile.mkdtemp(prefix="edxssh-"))
    directory.chmod(0o755)
    keygen(directory / "id")
    keygen(directory / "locked", passphrase=PASSPHRASE)
    init = subprocess.Popen(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"),
            *("sh", "-c", _SETUP, "lab", str(directory), PASSWORD),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert init.stdout is not None
    assert init.stderr is not None
    lab = None
    try:
        if init.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the namespace did not start: {init.stderr.read().decode()}")
        children = Path(f"/proc/{init.pid}/task/{init.pid}/children").read_text().split()
        lab = SshLab(directory, init, int(children[0]))
        yield lab
    finally:
        if lab is not None:
            lab.close()
        else:
            init.kill()
            init.wait(10)
            shutil.rmtree(directory, ignore_errors=True)
        init.stdout.close()
        init.stderr.close()
