"""Hosts on one machine: network namespaces behind a bridge, each with its own address, processes and root.

`Net.enter(mode)` moves the calling process into a network of its own; `net.start(specs)` makes hosts in it,
and plain addresses work from this process and its children. It is all tied to the life of the calling process
and thread: when that ends, even by SIGKILL, every process, link and mount is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self

from edxconsole.demo import linux
from edxconsole.demo.hostinit import BRIDGE, PREFIX, veth_name
from edxconsole.demo.hostspec import Bind, HostFile, HostSpec, Mode, Service
from edxconsole.demo.rtnetlink import Rtnetlink
from edxconsole.errors import DemoError

__all__ = ["Bind", "HostBox", "HostFile", "HostSpec", "Mode", "Net", "Service", "module_command", "why_not"]

_START_SECONDS = 20.0


@dataclass(slots=True)
class HostBox:
    """A running host. `pid` is its PID 1 as this process sees it."""

    spec: HostSpec
    pid: int
    keeper: subprocess.Popen[bytes]

    def __post_init__(self) -> None:
        # kill(0) and kill(1) would end this process's own group, or the machine.
        if self.pid < 2:
            raise ValueError(f"{self.pid} is no host's process")

    @property
    def name(self) -> str:
        """The host's name."""
        return self.spec.name

    @property
    def address(self) -> str:
        """The host's IPv4 address."""
        return self.spec.address

    def command(self, argv: Sequence[str], user: str | None = None) -> list[str]:
        """The command line that runs `argv` inside this host (root mode: as root unless `user`)."""
        return [*module_command("enter"), str(self.pid), *(["--user", user] if user else []), "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        input: bytes = b"",
        timeout: float = 30,
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the host to its end. Raises `CalledProcessError`, `TimeoutExpired`."""
        return subprocess.run(
            self.command(argv, user), input=input, capture_output=True, timeout=timeout, check=check
        )

    def popen(
        self, argv: Sequence[str], *, user: str | None = None, stdout: int | IO[bytes] = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a command in the host; it ends with the returned process or with this thread."""
        return subprocess.Popen(
            self.command(argv, user), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.STDOUT
        )

    def path(self, inside: str) -> Path:
        """A path of the host as this process can open it, e.g. to read a log."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def pids(self) -> list[int]:
        """Every process of the host as seen from here, PID 1 first."""
        return process_tree(self.pid)

    def freeze(self) -> None:
        """Stop every process of the host: TCP still connects, nothing answers."""
        signal_all(self.pids, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen host go on."""
        signal_all(self.pids, signal.SIGCONT)

    def set_link(self, up: bool) -> None:
        """Plug the host's network cable in or out, at the bridge's side."""
        with Rtnetlink() as net:
            net.set_up(veth_name(self.address), up)

    def alive(self) -> bool:
        """Whether the host still runs."""
        return self.keeper.poll() is None

    def kill(self) -> None:
        """Power off: every process of the host ends at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        try:
            self.keeper.wait(5)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
            self.keeper.wait(5)


def process_tree(pid: int) -> list[int]:
    """`pid` and all its descendants, parents first."""
    found: list[int] = []
    queue = [pid]
    while queue:
        pid = queue.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                queue += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def pid_namespace(pid: int) -> list[int]:
    """Every process in the pid namespace of `pid`, also those that came into it from outside."""
    wanted = os.stat(f"/proc/{pid}/ns/pid")
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.path.samestat(wanted, os.stat(f"{entry.path}/ns/pid")):
                    found.append(int(entry.name))
    return found


def signal_all(pids: Callable[[], list[int]], number: signal.Signals) -> None:
    """Send `number` to what `pids()` returns until no new process turns up (a fork may race)."""
    done: set[int] = set()
    while new := set(pids()) - done:
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        done |= new


@dataclass(slots=True)
class Net:
    """A network of hosts that lives as long as the process that entered it."""

    mode: Mode
    network: str = "10.88"
    """the first two octets; the bridge is .0.1, hosts choose theirs in the /16"""
    log: Path | None = None
    """where the hosts' keepers write what goes wrong; None: this process's stderr"""
    hosts: dict[str, HostBox] = field(default_factory=dict)

    @classmethod
    def enter(cls, mode: Mode, network: str = "10.88", log: Path | None = None) -> Self:
        """Move this process into new namespaces with a bridge in them.

        In user mode the process must have one thread only. Raises `OSError` where it is denied; ask `why_not`
        first, since a process can't leave again.
        """
        if mode is Mode.USER:
            uid, gid = os.getuid(), os.getgid()
            linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNET)
            linux.map_single_id(uid, gid, uid, gid)
            linux.keep_capabilities_over_exec()
        else:
            linux.unshare(linux.CLONE_NEWNET)
        linux.set_dumpable()
        with Rtnetlink() as net:
            net.set_up("lo")
            net.add_bridge(BRIDGE)
            net.add_address(BRIDGE, f"{network}.0.1", PREFIX)
            net.set_up(BRIDGE)
        return cls(mode, network, log)

    def start(self, *specs: HostSpec) -> list[HostBox]:
        """Start hosts in parallel; returns when all are made and their services were started.

        The hosts know each other by name. Raises `DemoError` naming the host that failed; all of them are
        then gone.
        """
        names = {h.name: h.address for h in self.hosts.values()} | {s.name: s.address for s in specs}
        keepers: list[tuple[HostSpec, subprocess.Popen[bytes]]] = []
        try:
            for spec in specs:
                full = replace(spec, neighbours={**names, **spec.neighbours})
                keepers.append((full, self._launch(full)))
            deadline = time.monotonic() + _START_SECONDS
            boxes = [wait_ready(spec, keeper, deadline) for spec, keeper in keepers]
        except BaseException:
            for _, keeper in keepers:
                keeper.kill()
                keeper.wait()
            raise
        self.hosts.update({box.name: box for box in boxes})
        return boxes

    def _launch(self, spec: HostSpec) -> subprocess.Popen[bytes]:
        if not spec.address.startswith(self.network + "."):
            raise DemoError(f"address {spec.address} is not in {self.network}.0.0/16", host=spec.name)
        with open(self.log, "ab") if self.log else contextlib.nullcontext() as log:
            keeper = subprocess.Popen(
                [*module_command("hostinit"), self.mode, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=_lean_environment(),
            )
        assert keeper.stdin is not None
        keeper.stdin.write(spec.to_json().encode() + b"\n")
        keeper.stdin.close()
        return keeper

    def close(self) -> None:
        """Power off every host."""
        for box in self.hosts.values():
            box.kill()
        self.hosts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def module_command(name: str) -> list[str]:
    """The command line that runs `edxconsole.demo.<name>` with this Python."""
    return [sys.executable, "-I", "-m", f"edxconsole.demo.{name}"]


def _lean_environment() -> Mapping[str, str]:
    """What a keeper needs; nothing of the operator's environment reaches a host."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"}


def wait_ready(spec: HostSpec, keeper: subprocess.Popen[bytes], deadline: float) -> HostBox:
    """The host that a keeper started just now makes, once it runs. `deadline` is of time.monotonic().

    Raises `DemoError` when it does not come to run by then.
    """
    assert keeper.stdout is not None
    told: dict[str, Any] = {}
    buffer = b""
    # The host itself says that it is ready, its keeper which pid it has: either may come first.
    while not {"pid", "ready"} <= told.keys():
        if not select.select([keeper.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            raise DemoError(f"the host did not start within {_START_SECONDS:.0f} s", host=spec.name)
        chunk = os.read(keeper.stdout.fileno(), 65536)
        if not chunk:
            raise DemoError("the host's process ended while it was being made", host=spec.name)
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise DemoError(f"the host can't be made: {message['error']}", host=spec.name)
            told |= message
    keeper.stdout.close()
    return HostBox(spec, told["pid"], keeper)


def why_not(mode: Mode) -> str | None:
    """Try everything `mode` needs in a process of its own; None if it works, else the reason in a clause.

    `unshare` alone proves nothing: some systems let it succeed and deny the first mount or link after it.
    """
    trial = subprocess.run(
        [*module_command("trial"), mode], capture_output=True, text=True, timeout=20, env=_lean_environment()
    )
    return None if trial.returncode == 0 else trial.stdout.strip() or "the trial process died"
