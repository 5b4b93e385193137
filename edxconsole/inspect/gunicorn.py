"""gunicorn of the LMS, the CMS and xqueue: master and workers, as told and as found."""

from __future__ import annotations

import time
from collections.abc import Sequence

from edxconsole.cluster.model import Process
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.gunicorn_config import DEFAULTS, Setting, of_command_line, read_settings
from edxconsole.inspect.model import Value
from edxconsole.inspect.reads import CONNECTIONS_OF
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.numerals import natural


async def inspect_gunicorn(sight: Sight, report: Report) -> None:
    """Nothing of it is run: the configuration is Python, and is read as text."""
    rows = sight.processes()
    master = _master(rows)
    if master is None and sight.contained:
        report.missing("settings", "it runs in a container, whose processes are not looked into")
        return
    if master is None:
        report.down("no gunicorn master process runs")
        report.missing("settings", "without a process its command line and configuration file are not known")
        return
    workers = [p for p in rows if p.ppid == master.pid]
    told = await _settings(sight, report, master)
    _processes(sight, report, master, workers)
    expected = told.get("workers") if isinstance(told.get("workers"), int) else None
    report.part("workers").facts("process table, settings", expected=expected, found=len(workers))
    if isinstance(expected, int) and len(workers) != expected:
        word = "fewer" if len(workers) < expected else "more"
        report.degraded(f"{len(workers)} workers run, {word} than the {expected} of its settings")
    await _in_flight(sight, report, told)


def _master(rows: Sequence[Process]) -> Process | None:
    """The gunicorn whose parent is none of them: supervisord starts it directly or through a shell."""
    own = {p.pid for p in rows if _is_gunicorn(p)}
    masters = [p for p in rows if p.pid in own and p.ppid not in own]
    # An orphan of an earlier master has init as its parent and may be the older one: more children win.
    return max(masters, key=lambda m: sum(p.ppid == m.pid for p in rows), default=None)


def _is_gunicorn(process: Process) -> bool:
    line = " ".join(process.argv[:4])
    return "gunicorn" in line and not line.startswith(("sh ", "bash ", "/bin/sh", "/bin/bash"))


async def _settings(sight: Sight, report: Report, master: Process) -> dict[str, Setting]:
    """Defaults, then the file, then the command line: gunicorn's own order."""
    line = of_command_line(master.argv)
    path = line.pop("config", None)
    source = "command line"
    if " ".join(master.argv).startswith("gunicorn: "):
        path = next((c for c in sight.component.configs if c.endswith("_gunicorn.py")), None)
        cause = "the master has renamed itself: its command line, which may say more, can't be seen"
        report.missing("settings", cause)
        if path is None:
            return {}
    said: dict[str, Setting] = {}
    if isinstance(path, str):
        source = f"{path}, command line"
        read = await report.attempt("settings", _file(sight, path, master))
        if read is None:
            return {}
        said = read
    told = {**DEFAULTS, **{k: v for k, v in said.items() if k in DEFAULTS}, **line}
    known = {k: told[k] for k in DEFAULTS}
    report.part("settings").facts(source, config=path if isinstance(path, str) else None, **known)
    return known


async def _file(sight: Sight, path: str, master: Process) -> dict[str, Setting]:
    if not path.startswith("/"):
        raise NotUnderstood(f"its configuration {path} is named relative to a directory that can't be seen")
    return read_settings(await sight.read(path, user=master.user), sight.cores)


def _processes(sight: Sight, report: Report, master: Process, workers: Sequence[Process]) -> None:
    now = time.time()
    rows: list[dict[str, Value]] = [
        {
            "role": "master" if p is master else "worker",
            "pid": p.pid,
            "user": p.user,
            "age_seconds": round(max(now - p.started_at, 0.0)),
            "cpu_percent": round(p.cpu, 1),
            "memory_bytes": p.rss * 1024,
            "state": p.state,
        }
        for p in (master, *workers)
    ]
    columns = ("role", "pid", "user", "age_seconds", "cpu_percent", "memory_bytes", "state")
    report.part("processes").table("processes", columns, rows, source="process table")
    known = {p.pid for p in (master, *workers)}
    others = [p for p in sight.processes() if p.pid not in known and _is_gunicorn(p) and p.ppid == 1]
    if others:
        pids = ", ".join(str(p.pid) for p in others)
        report.degraded(f"orphans of an earlier master still run: {pids}; they may hold the port")


async def _in_flight(sight: Sight, report: Report, told: dict[str, Setting]) -> None:
    """Open connections to its port: with sync workers each is a request being served or waiting."""
    bind = told.get("bind")
    port = str(bind).rpartition(":")[2] if isinstance(bind, str) else ""
    if natural(port, 5) is None:
        return
    argv = [*CONNECTIONS_OF, f":{port}"]
    result = await report.attempt("requests in flight", sight.run(argv, timeout=5.0))
    if result is None:
        return
    if not result.ok:
        report.missing("requests in flight", "ss did not tell its connections", "install iproute2")
        return
    report.part("traffic").facts(" ".join(argv), open_connections=connections_of(result.text))


def connections_of(text: str) -> int:
    """The connections that `ss -tn state established` tells; its head is no row.

    `-H` would leave the head out, but Ubuntu 16.04's iproute2 4.3 does not know it.
    """
    rows = (line.split(maxsplit=2) for line in text.splitlines())
    return sum(1 for row in rows if len(row) == 3 and None not in (natural(row[0]), natural(row[1])))
