"""A small host with a bit of everything, for hosts that are odd in one respect: a supervisord of
www-data with two programs that write logs, and a memcached to ask after.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link, State
from edxconsole.engine import Engine
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from edxconsole.plans.model import PlanState
from edxconsole.services.base import Verb
from tests.lab.host import HostOptions, LabError, LabHost
from tests.lab.watching import until

ROLE = "/run/lab/small.sh"
LOGS = "/edx/var/log/ticks"
CONF = """
[unix_http_server]
file=/edx/var/supervisor/supervisor.sock
chmod=0700
chown=www-data:www-data
{inet}
[supervisord]
logfile=/edx/var/supervisor/supervisord.log
pidfile=/edx/var/supervisor/supervisord.pid
childlogdir=/edx/var/supervisor
{user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix:///edx/var/supervisor/supervisor.sock
[program:ticker]
command=sh -c 'while sleep 0.1; do n=$((n+1)); echo one $n >>one.log; echo two $n >>two.log; done'
directory={logs}
stopasgroup=true
[program:idle]
command=sleep 100000
"""
SCRIPT = """
set -eu
mkdir -p /edx/var/supervisor {logs}
chown -R www-data:www-data /edx/var/supervisor {logs}
memcached -d -u www-data -l 127.0.0.1 -p 11211
exec {become} {venv}/bin/python {venv}/bin/supervisord -c /etc/supervisord.conf
"""
AS_WWW_DATA = "setpriv --reuid=www-data --regid=www-data --init-groups"


def small_host(*, inet: bool = False, www_data: bool = False, under: str = "", **options: Any) -> HostOptions:
    """Options of such a host; `prepare` in `options` is shell to run before all else.

    Args:
        inet: supervisord listens on 127.0.0.1:9001 as well, and asks for no password.
        www_data: supervisord runs as www-data, not as root.
        under: a command supervisord is started by.
    """
    prepare = options.pop("prepare", "")
    become = AS_WWW_DATA if www_data else under
    script = prepare + "\n" + SCRIPT.format(logs=LOGS, become=become, venv=sys.prefix)
    conf = CONF.format(
        logs=LOGS,
        inet="[inet_http_server]\nport=127.0.0.1:9001" if inet else "",
        user="" if www_data else "user=root",
    )
    files = {"/etc/supervisord.conf": conf, ROLE: script, **options.pop("files", {})}
    return HostOptions(script=Path(ROLE), files=files, **options)


def ticks(host: str, name: str = "one") -> LogSource:
    return LogSource(host=host, path=f"{LOGS}/{name}.log", name=name)


def has_lines(log: Log, path: str) -> bool:
    return len(log.lines(path)) > 20


class Log:
    """What a follow of some files brought."""

    def __init__(self) -> None:
        self.feed = LogFeed()
        self.batches: list[LogBatch] = []

    def read(self) -> list[LogBatch]:
        self.batches += self.feed.drain()
        return self.batches

    def lines(self, path: str) -> list[str]:
        return "".join(b.data for b in self.read() if b.source.path == path).splitlines()

    def marks(self, path: str) -> list[str]:
        return [b.mark for b in self.read() if b.source.path == path and b.mark]

    async def until(self, seen: Callable[[Log], bool], *, within: float = 30.0, what: str = "") -> None:
        deadline = time.monotonic() + within
        while not seen(self):
            if time.monotonic() > deadline:
                tail = [(b.source.path, b.mark, b.data[-200:]) for b in self.batches[-8:]]
                raise AssertionError(f"not within {within} s: {what}: {tail}")
            await asyncio.sleep(0.1)


async def is_live(engine: Engine, name: str, within: float = 30.0) -> HostSnapshot:
    await until(engine, lambda s: s.hosts[name].link is Link.LIVE, within=within, what=f"{name} live")
    return engine.snapshot.hosts[name]


async def programs_seen(engine: Engine, name: str, within: float = 40.0) -> None:
    """Until the supervisor's two programs are shown as running."""

    def seen(snapshot: ClusterSnapshot) -> bool:
        words = {u.name: u.word for u in snapshot.hosts[name].units.values() if u.kind == "supervisor"}
        return words == {"ticker": "RUNNING", "idle": "RUNNING"}

    await until(engine, seen, within=within, what=f"two running programs on {name}")


async def restart(engine: Engine, name: str, program: str = "idle") -> None:
    """Restart a program by a confirmed plan."""
    engine.arm(120)
    plan = await engine.draft(Verb.RESTART, f"{program}@{name}", reason="test")
    state = await engine.run_plan(plan, confirmation=plan.digest, on_event=lambda event: None)
    assert state is PlanState.DONE


def pid_of(host: LabHost, program: str = "idle") -> int:
    """What supervisorctl says on the host."""
    ctl = f"{sys.prefix}/bin/python {sys.prefix}/bin/supervisorctl -c /etc/supervisord.conf pid {program}"
    return int(host.sh(ctl))


def wait_running(host: LabHost, within: float = 30.0) -> int:
    """The pid of its program, once supervisord runs it there. Raises LabError."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(LabError, ValueError):
            if pid := pid_of(host):
                return pid
        if time.monotonic() > deadline:
            raise LabError(f"{host.name}: its supervisord runs nothing after {within:g} s")
        time.sleep(0.2)


async def all_work(engine: Engine, host: LabHost) -> None:
    """Live, programs, two logs whole, a restart, health; all over one connection."""
    await is_live(engine, host.name)
    await programs_seen(engine, host.name)
    log = Log()
    sources = [ticks(host.name, "one"), ticks(host.name, "two")]
    stop = await engine.follow(sources, log.feed)
    before = await asyncio.to_thread(pid_of, host)
    await restart(engine, host.name)
    assert await asyncio.to_thread(pid_of, host) not in (0, before)
    await answers(engine, host.name)
    for source in sources:
        await log.until(partial(has_lines, path=source.path), what=source.path)
        consecutive(log.lines(source.path))
    stop()
    assert engine.snapshot.hosts[host.name].link is Link.LIVE
    assert engine.session(host.name).attempts == 1


async def answers(engine: Engine, name: str) -> None:
    """memcached is asked and well."""
    evidence = await engine.check_health(name, "memcached")
    assert [e.state for e in evidence] == [State.UP], evidence


def consecutive(lines: list[str]) -> None:
    """Every number once and in order, from the first seen on."""
    counted = [int(line.split()[1]) for line in lines]
    assert counted == list(range(counted[0], counted[0] + len(counted)))
