"""One real test host: an address, processes, users, files and an sshd of its own."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edxconsole.demo.namespaces import Bind, HostBox, HostFile, HostSpec, Mode, Net, Service
from edxconsole.errors import DemoError
from edxconsole.inventory.model import Host as InventoryHost
from tests.lab import needs

BOOT = Path(__file__).with_name("boot.sh")
REPOSITORY = Path(__file__).resolve().parents[2]


class LabError(Exception):
    """A test host could not be made or did not do what a test told it to."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host differs from an ordinary one."""

    sudo: bool = True
    """ops may `sudo -n` anything; otherwise nothing"""
    sshd: Mapping[str, str] = field(default_factory=dict)
    """sshd_config keywords, e.g. {"MaxSessions": "2"}"""
    password: str | None = None
    """a password for ops; sshd then accepts it, and keyboard-interactive through PAM"""
    script: Path | None = None
    """run as root at boot, after sshd: a role"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """for `script`"""
    services: Sequence[str] = ()
    """SysV scripts of the machine's daemons that this host has, e.g. "nginx" """
    files: Mapping[str, str] = field(default_factory=dict)
    """more files, path -> text, of root, mode 0644"""
    without: Sequence[str] = ()
    """globs of files the host shall not have, e.g. "/usr/bin/python3*" """
    disk_mib: int = 512


@dataclass(eq=False)
class LabHost:
    """A host that is up. `key` logs `user` in; `known_hosts` pins its host key."""

    name: str
    address: str
    user: str
    key: Path
    known_hosts: Path
    directory: Path
    """its host key and the log of its boot"""
    net: Net
    peers: Mapping[str, str]
    """name -> address of those it knows by name"""
    options: HostOptions
    port: int = 22
    _box: HostBox | None = None

    # Its life.

    @property
    def box(self) -> HostBox:
        """The running machine. Raises LabError when it is off."""
        if self._box is None:
            raise LabError(f"{self.name} is off")
        return self._box

    @property
    def pid(self) -> int:
        """Its process 1, as this machine counts."""
        return self.box.pid

    def plug_in(self, box: HostBox) -> None:
        """It was started together with others, as this box."""
        self._box = box

    def boot(self, limit: float = 20.0) -> None:
        """Bring it up again after kill(), with the same address and keys. In the main thread.

        The kernel takes a dead host's cable away a moment after its processes.
        """
        deadline = time.monotonic() + limit
        while True:
            try:
                (self._box,) = self.net.start(self.spec())
                self._forget_card()
                return
            except DemoError as error:
                if "exists" not in str(error) or time.monotonic() > deadline:
                    raise LabError(str(error)) from error
            time.sleep(0.02)

    def _forget_card(self) -> None:
        """A real machine keeps its network card; ours has a new one, which nobody here must wait to learn."""
        ip = needs.which("ip") or "ip"
        subprocess.run([ip, "neigh", "flush", "to", self.address], check=True, timeout=10)

    def kill(self) -> None:
        """Cut its power: every process gone at once, nothing says goodbye."""
        if self._box is not None:
            if self._box.keeper.stdin is not None:
                self._box.keeper.stdin.close()
            self._box.kill()
            self.net.hosts.pop(self.name, None)
            self._box = None

    def wait_ssh(self, limit: float = 20.0) -> None:
        """Until sshd greets. Raises LabError with the log of its boot."""
        deadline = time.monotonic() + limit
        while not self._greets():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: no sshd after {limit} s: {self.boot_log()}")
            time.sleep(0.02)

    def _greets(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self.address, self.port), 1) as connection,
        ):
            return connection.recv(4) == b"SSH-"
        return False

    def boot_log(self) -> str:
        """What its boot and role said."""
        return self.box.path("/run/boot.log").read_text(errors="replace")[-3000:]

    # What a test does on it.

    def sh(self, command: str, *, check: bool = True, timeout: float = 30.0) -> str:
        """Run a shell command as the host's root and return what it printed.

        Raises LabError when it fails, unless `check` is False.
        """
        done = self.box.run(["/bin/sh", "-c", command], check=False, timeout=timeout)
        if check and done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise LabError(f"{self.name}: {command!r} ended with {done.returncode}: {said}")
        return done.stdout.decode(errors="replace")

    async def ash(self, command: str, *, check: bool = True, timeout: float = 30.0) -> str:
        """sh() without holding up the event loop."""
        return await asyncio.to_thread(self.sh, command, check=check, timeout=timeout)

    def spawn(self, command: str) -> None:
        """Start a shell command in the background, as a daemon of the host's root."""
        self.sh(f"setsid -f sh -c {shlex.quote('exec ' + command)} >/dev/null 2>&1 </dev/null")

    def ssh_argv(self, *options: str) -> list[str]:
        """OpenSSH's client, told of our keys only."""
        settings = {
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "BatchMode": "yes",
            "ConnectTimeout": "10",
        }
        flags = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "/dev/null", *flags, *options, f"{self.user}@{self.address}"]

    def ssh(self, command: str, *, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command as its login user, over SSH."""
        return subprocess.run(
            [*self.ssh_argv(), command],
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def freeze(self) -> None:
        """Stop every process: the kernel still answers TCP, nobody else does."""
        self.box.freeze()

    def thaw(self) -> None:
        self.box.thaw()

    def drop(self) -> None:
        """Swallow every packet, both ways, without a word to either side."""
        for chain in ("INPUT", "OUTPUT"):
            self._iptables("-I", chain, "-j", "DROP")

    def undrop(self) -> None:
        for chain in ("INPUT", "OUTPUT"):
            self._iptables("-D", chain, "-j", "DROP")

    def refuse_ssh(self) -> None:
        """New connections to sshd are reset."""
        rule = "-p tcp --dport 22 --syn -j REJECT --reject-with tcp-reset"
        self._iptables("-I", "INPUT", *rule.split())

    def accept_ssh(self) -> None:
        """Take refuse_ssh() back."""
        self._iptables("-F", "INPUT")

    def unplug(self) -> None:
        """Pull its network cable."""
        self.box.set_link(False)

    def plug(self) -> None:
        self.box.set_link(True)

    def inventory_host(self, **changes: Any) -> InventoryHost:
        """What a hosts.yaml would say of it; `changes` overrides fields."""
        fields: dict[str, Any] = {
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "user": self.user,
            "become": "sudo" if self.options.sudo else None,
            "identity_file": self.key,
            "known_hosts": self.known_hosts,
        }
        return InventoryHost(**(fields | changes))

    def _iptables(self, *rule: str) -> None:
        """From outside, in the host's network only: the host itself may be frozen."""
        iptables = needs.which("iptables") or "iptables"
        lock = f"XTABLES_LOCKFILE={self.directory}/xtables.lock"
        argv = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "env", lock, iptables, "-w", *rule]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        if done.returncode != 0:
            raise LabError(f"{self.name}: iptables {shlex.join(rule)}: {done.stderr.strip()}")

    # How it is made.

    def spec(self) -> HostSpec:
        """What the demo's host maker is told."""
        options = self.options
        environment = {
            "LAB_SUDO": str(int(options.sudo)),
            "LAB_PASSWORD": _hash(options.password),
            "LAB_WITHOUT": " ".join(options.without),
            "LAB_SERVICES": " ".join(options.services),
            "LAB_SCRIPT": str(options.script or ""),
            "LAB_OPEN": " ".join(shlex.quote(path) for path in _closed_above(self.net.mode)),
        }
        files = [
            HostFile("/run/lab/boot.sh", BOOT.read_text()),
            HostFile("/run/lab/host_key", self.host_key(), 0o600),
            HostFile("/run/lab/sshd_config", _sshd_config(options, self.net.mode)),
            HostFile("/run/lab/authorized_keys", self.key.with_suffix(".pub").read_text(), 0o600),
        ]
        files += [HostFile(path, text) for path, text in options.files.items()]
        return HostSpec(
            name=self.name,
            address=self.address,
            size_mib=options.disk_mib,
            files=tuple(files),
            binds=_binds(self.net.mode),
            services=(
                Service(
                    ("/bin/sh", "/run/lab/boot.sh"), "/run/boot.log", environment | dict(options.environment)
                ),
            ),
            neighbours=dict(self.peers),
        )

    def host_key(self) -> str:
        """Its private host key, made and pinned in known_hosts when first asked for."""
        path = self.directory / f"{self.name}_host_key"
        if not path.exists():
            make_key(path)
            kind, public = path.with_suffix(".pub").read_text().split()[:2]
            with self.known_hosts.open("a") as file:
                file.write(f"{self.address} {kind} {public}\n")
        return path.read_text()


def _binds(mode: Mode) -> tuple[Bind, ...]:
    """Show the repository and its Python where the host would not see them by itself.

    Made by root it sees the machine's root file system, not what is mounted on it, and a /tmp and /run
    of its own; otherwise /usr.
    """
    whole = Path("/" if mode is Mode.ROOT else "/usr")
    needed = {REPOSITORY, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    inner = {path for path in needed if not any(other in path.parents for other in needed)}
    return tuple(
        Bind(str(path), str(path))
        for path in sorted(inner)
        if not path.is_relative_to(whole)
        or path.stat().st_dev != whole.stat().st_dev
        or any(path.is_relative_to(own) for own in ("/tmp", "/run"))
    )


def _closed_above(mode: Mode) -> list[str]:
    """Directories above the repository and its Python that the host's users could not pass."""
    if mode is not Mode.ROOT:
        return []
    bound = {Path(bind.target) for bind in _binds(mode)}
    seen = {REPOSITORY, Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()} - bound
    above = {
        parent for path in seen for parent in (path, *path.parents) if not bound & {parent, *parent.parents}
    }
    return sorted(str(path) for path in above if not path.stat().st_mode & 0o001)


def make_key(path: Path) -> None:
    """An ed25519 key pair without a passphrase: `path` and `path`.pub."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)]
    subprocess.run(argv, check=True, timeout=20)


def _sshd_config(options: HostOptions, mode: Mode) -> str:
    """sshd takes the first value of each keyword, so the test's own come first."""
    passwords = "yes" if options.password is not None else "no"
    lines = [f"{keyword} {value}" for keyword, value in options.sshd.items()]
    lines += [
        "HostKey /run/lab/host_key",
        "PidFile /run/sshd.pid",
        "UseDNS no",
        "PermitRootLogin no",
        "PrintMotd no",
        f"UsePAM {passwords}",
        f"PasswordAuthentication {passwords}",
        f"KbdInteractiveAuthentication {passwords}",
        "Subsystem sftp internal-sftp",
    ]
    if mode is Mode.USER:
        lines.append("StrictModes no")
    return "\n".join(lines) + "\n"


def _hash(password: str | None) -> str:
    if password is None:
        return "*"
    argv = ["openssl", "passwd", "-6", "-stdin"]
    return subprocess.run(argv, input=password, capture_output=True, text=True, check=True).stdout.strip()
