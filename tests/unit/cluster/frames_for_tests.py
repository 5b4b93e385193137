"""Frames as a probe would send them, with the dull fields filled in."""

from __future__ import annotations

from typing import Any

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.attribution import Attribution
from edxconsole.cluster.model import HostSnapshot, Link
from edxconsole.cluster.store import History, HostStore
from edxconsole.probe.frames import (
    Beat,
    Disk,
    Hello,
    ListenerRow,
    Listeners,
    Processes,
    ProcessRow,
    ProgramRow,
    Supervisor,
    Vitals,
)

CATALOG = load_catalog()
T0 = 1_800_000_000.0
"""host time at which the tests begin"""
SOCKET = "/edx/var/supervisor/supervisor.sock"
GUNICORN = ("/venv/bin/python", "/venv/bin/gunicorn", "-c", "/edx/app/edxapp/lms_gunicorn.py", "lms.wsgi")


def store(expected: frozenset[str] = frozenset(), history: History | None = None) -> HostStore:
    made = HostStore("app1", Attribution(CATALOG), expected, history or History())
    made.clock.add(rtt=0.001, skew=0.0)
    return made


def standing(link: Link = Link.LIVE) -> HostSnapshot:
    return HostSnapshot(name="app1", version=1, link=link, reason="", since=T0)


def hello(**changes: Any) -> Hello:
    fields: dict[str, Any] = {
        "n": 0, "t": T0, "python": "3.11.2", "pid": 900, "uid": 0, "user": "root", "hostname": "app1",
        "kernel": "6.1", "cores": 2, "ticks": 100, "boot": T0 - 1000, "zone": 0,
        "caps": frozenset({"netlink"}), "read_only": True, "shell": False,
    }  # fmt: skip
    return Hello(**(fields | changes))


def process(pid: int, *argv: str, ppid: int = 1, start: int = 50_000, **changes: Any) -> ProcessRow:
    fields: dict[str, Any] = {
        "pid": pid, "ppid": ppid, "start": start, "uid": 33, "comm": argv[0].rpartition("/")[2][:15],
        "state": "S", "cpu": 100, "rss": 50_000, "threads": 1, "argv": argv,
    }  # fmt: skip
    return ProcessRow(**(fields | changes))


def processes(*rows: ProcessRow, full: bool = True, t: float = T0, **changes: Any) -> Processes:
    fields: dict[str, Any] = {"n": 1, "t": t, "full": full, "new": rows, "changed": {}, "gone": ()}
    return Processes(**(fields | changes))


def listener(port: int, pid: int | None, **changes: Any) -> ListenerRow:
    fields: dict[str, Any] = {
        "proto": "tcp", "address": "127.0.0.1", "port": port, "uid": 33, "inode": port, "pid": pid,
        "how": "owner" if pid else "none",
    }  # fmt: skip
    return ListenerRow(**(fields | changes))


def listeners(*rows: ListenerRow, t: float = T0) -> Listeners:
    return Listeners(n=2, t=t, rows=rows, partial=False)


def program(name: str, state: str, pid: int = 0, start: float = T0 - 500, **changes: Any) -> ProgramRow:
    fields: dict[str, Any] = {
        "name": name, "group": name, "statename": state, "pid": pid, "start": int(start), "stop": 0,
        "exitstatus": 0, "spawnerr": "", "stdout_logfile": f"/edx/var/log/supervisor/{name}-stdout.log",
        "stderr_logfile": f"/edx/var/log/supervisor/{name}-stderr.log",
    }  # fmt: skip
    return ProgramRow(**(fields | changes))


def supervisor(*rows: ProgramRow, full: bool = True, t: float = T0, **changes: Any) -> Supervisor:
    fields: dict[str, Any] = {
        "n": 3, "t": t, "config": "/edx/app/supervisor/supervisord.conf", "pid": 20,
        "endpoint": f"unix:{SOCKET}", "owner": "www-data", "version": "4.2.5", "statename": "RUNNING",
        "full": full, "programs": rows, "error": "",
    }  # fmt: skip
    return Supervisor(**(fields | changes))


def vitals(t: float = T0, **changes: Any) -> Vitals:
    fields: dict[str, Any] = {
        "n": 4, "t": t, "load": (0.1, 0.1, 0.1), "cpu": 0.02, "mem_total": 4_000_000,
        "mem_available": 3_000_000, "swap_total": 0, "swap_free": 0,
        "disks": (Disk("/", "/dev/vda", 1_000_000, 500_000, 1000, 900),), "users": {33: "www-data"},
    }  # fmt: skip
    return Vitals(**(fields | changes))


def beat(t: float = T0, cpu_ms: float = 10.0) -> Beat:
    return Beat(n=5, t=t, cpu_ms=cpu_ms, rss=9000)


def lms_host(**program_changes: Any) -> HostStore:
    """A host on which gunicorn with two workers runs as the program lms and listens on 8000."""
    made = store()
    made.apply(hello(), 1.0)
    master = process(30, *GUNICORN, ppid=20)
    workers = [process(pid, *GUNICORN, ppid=30) for pid in (31, 32)]
    made.apply(processes(process(20, "/venv/bin/supervisord"), master, *workers), 1.0)
    made.apply(listeners(listener(8000, 30)), 1.0)
    changes: dict[str, Any] = {"state": "RUNNING", "pid": 30} | program_changes
    made.apply(supervisor(program("lms", **changes)), 1.0)
    return made
