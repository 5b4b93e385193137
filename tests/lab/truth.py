"""What is true on a host, asked by hand: `ss`, `ps`, `supervisorctl`, `systemctl`, `df`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.host import LabHost


@dataclass(frozen=True, slots=True)
class TrueProcess:
    pid: int
    ppid: int
    user: str
    comm: str
    args: str


@dataclass(frozen=True, slots=True)
class TrueProgram:
    name: str
    word: str
    pid: int | None


def listeners(host: LabHost) -> dict[tuple[str, int], set[int]]:
    """(address, port) -> pids, by `ss -tlnpH`."""
    found: dict[tuple[str, int], set[int]] = {}
    for line in host.sh("ss -tlnpH").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        address = {"*": "::", "[::]": "::"}.get(address, address.partition("%")[0].strip("[]"))
        found.setdefault((address, int(port)), set()).update(map(int, re.findall(r"pid=(\d+)", line)))
    return found


def processes(host: LabHost) -> dict[int, TrueProcess]:
    """Every process by `ps`, but those of the question itself: what came from outside, and its children."""
    text = host.sh("ps -eo pid=,ppid=,user:32=,comm:32=,args= -ww")
    rows = [line.split(None, 4) for line in text.splitlines()]
    found = {
        int(pid): TrueProcess(int(pid), int(ppid), user, comm, args) for pid, ppid, user, comm, args in rows
    }
    asking = {process.pid for process in found.values() if process.ppid == 0 and process.pid != 1}
    while more := {p.pid for p in found.values() if p.ppid in asking} - asking:
        asking |= more
    return {pid: process for pid, process in found.items() if pid not in asking}


def programs(host: LabHost, command: str = "/edx/bin/supervisorctl") -> dict[str, TrueProgram]:
    """Every supervisor program, by `supervisorctl status`."""
    found = {}
    for line in host.sh(f"{command} status", check=False).splitlines():
        name, word, *rest = line.split()
        pid = re.search(r"pid (\d+)", " ".join(rest))
        found[name] = TrueProgram(name, word, int(pid[1]) if pid else None)
    return found


def units(host: LabHost, names: Sequence[str]) -> dict[str, tuple[str, int]]:
    """systemd unit -> (ActiveState, MainPID), by `systemctl show`; an alias is answered too."""
    found = {}
    for name in names:
        text = host.sh(f"systemctl show --property=ActiveState,MainPID '{name}'")
        fields = dict(line.split("=", 1) for line in text.splitlines())
        found[name] = (fields["ActiveState"], int(fields.get("MainPID", "0")))
    return found


def scripts(host: LabHost, names: Sequence[str]) -> dict[str, int]:
    """SysV script -> exit status of `service NAME status`, as root (0 running, 3 stopped)."""
    return {name: int(host.sh(f"service {name} status >/dev/null 2>&1; echo $?").strip()) for name in names}
