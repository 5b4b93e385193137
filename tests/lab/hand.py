"""The facts of each component of the seed on the test cluster, read by hand: `ps`, `ss`, `supervisorctl`,
pid files, configuration files, and one question in the protocol it speaks. Nothing of the console is used.
"""

from __future__ import annotations

import configparser
import http.client
import re
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import bson

from tests.lab import truth
from tests.lab.cluster import LabCluster
from tests.lab.host import LabHost
from tests.lab.truth import TrueProcess

PROGRAMS = ("lms", "cms", "xqueue", "xqueue_consumer")
PER_CORE = {"lms": 4, "cms": 2, "xqueue": 2}
"""worker_core_mult of openedx/configuration: gunicorn workers a core"""
EDX_NGINX_WORKERS = 4
"""worker_processes of openedx/configuration's nginx.conf"""
CONF_D = "/edx/app/supervisor/conf.d/*.conf"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a component on a host."""

    component: str
    host: str
    up: bool
    main: int | None
    """the process that the others come from, or that holds the ports"""
    pids: frozenset[int]
    users: frozenset[str]
    names: frozenset[str]
    """of its processes, as the kernel calls them"""
    ports: frozenset[int]
    workers: int | None
    usual: int | None
    logs: frozenset[str]
    """files that its standard error or its own log goes to"""
    answers: bool | None
    """whether it answers in its own protocol; None: it speaks none"""


class Reader:
    """Reads one host once."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.processes = truth.processes(host)
        self.listeners = truth.listeners(host)
        self.cores = int(host.sh("nproc"))

    def facts(
        self,
        component: str,
        main: int | None,
        pids: Iterable[int],
        logs: Iterable[str],
        *,
        up: bool = True,
        usual: int | None = None,
        workers: int | None = None,
        answers: bool | None = None,
    ) -> Facts:
        found = frozenset(pids)
        known = [self.processes[pid] for pid in found]
        return Facts(
            component,
            self.host.name,
            up,
            main,
            found,
            frozenset(p.user for p in known),
            frozenset(p.comm for p in known),
            frozenset(port for (_, port), pids_there in self.listeners.items() if pids_there & found),
            workers,
            usual,
            frozenset(logs),
            answers,
        )

    def family(self, main: int) -> set[int]:
        """A process and those it started."""
        return {main} | {p.pid for p in self.processes.values() if p.ppid == main}

    def on_port(self, port: int) -> int:
        """The one process that listens there."""
        (pid,) = {pid for (_, p), pids in self.listeners.items() if p == port for pid in pids}
        return pid

    def pids_where(self, fits: Callable[[TrueProcess], bool]) -> set[int]:
        return {p.pid for p in self.processes.values() if fits(p)}

    def setting(self, command: str) -> str:
        """The only line that a command prints."""
        (line,) = self.host.sh(command).split("\n")[:-1]
        return line.strip()


def facts(cluster: LabCluster) -> list[Facts]:
    """Of every component of the seed that runs in the test cluster."""
    found = [_nginx(Reader(cluster.web))]
    for host in (cluster.app1, cluster.app2):
        found += _app(Reader(host))
    return [*found, *_data(Reader(cluster.data))]


def _nginx(web: Reader) -> Facts:
    main = int(web.setting("cat /run/nginx.pid"))
    pids = web.family(main)
    log = web.setting("sed -n 's/^ *error_log \\([^ ]*\\).*/\\1/p' /etc/nginx/nginx.conf")
    answers = get(web.host.address, 80, "/") is not None
    return web.facts(
        "nginx", main, pids, [log], usual=EDX_NGINX_WORKERS, workers=len(pids) - 1, answers=answers
    )


# An app host: what supervisorctl says, and supervisor's own files.


def _app(app: Reader) -> list[Facts]:
    programs = truth.programs(app.host)
    found = [_program(app, name, programs[name]) for name in PROGRAMS]
    workers = {name: p for name, p in programs.items() if name.startswith("edxapp_worker:")}
    mains = [p.pid for p in workers.values() if p.pid is not None]
    pids = {pid for main in mains for pid in app.family(main)}
    asked = sum(int(n) for n in re.findall(r"--concurrency=(\d+)", app.host.sh(f"cat {CONF_D}")))
    logs = [_stderr(app, name.partition(":")[2]) for name in workers]
    up = all(p.word == "RUNNING" for p in workers.values())
    main = min(mains)
    found.append(
        app.facts("edxapp_worker", main, pids, logs, up=up, usual=asked, workers=len(pids) - len(mains))
    )
    return [*found, _supervisor(app)]


def _program(app: Reader, name: str, program: truth.TrueProgram) -> Facts:
    pids = app.family(program.pid) if program.pid is not None else set()
    gunicorn = name in PER_CORE
    port = {"lms": 8000, "cms": 8010, "xqueue": 8040}.get(name)
    path = "/xqueue/status/" if name == "xqueue" else "/heartbeat"
    return app.facts(
        name,
        program.pid,
        pids,
        [_stderr(app, name)],
        up=program.word in ("RUNNING", "EXITED"),
        usual=PER_CORE[name] * app.cores if gunicorn else None,
        workers=len(pids) - 1 if gunicorn else None,
        answers=get(app.host.address, port, path) == 200 if port else None,
    )


def _stderr(app: Reader, name: str) -> str:
    """Where its standard error goes, by the file its [program:x] is in."""
    files = configparser.RawConfigParser(strict=False)
    files.read_string(app.host.sh(f"for file in {CONF_D}; do cat $file; echo; done"))
    return files[f"program:{name}"]["stderr_logfile"].replace("%(program_name)s", name)


def _supervisor(app: Reader) -> Facts:
    main = int(app.setting("/edx/bin/supervisorctl pid"))
    log = app.setting("sed -n 's/^logfile=//p' /edx/app/supervisor/supervisord.conf")
    return app.facts("supervisor", main, [main], [log])


# The data host: pid files and ports, and each daemon's own configuration.


def _data(data: Reader) -> list[Facts]:
    sh, address = data.setting, data.host.address
    mysql = int(sh("cat /run/mysqld/mysqld.pid"))
    redis = int(sh("cat /run/redis/redis-server.pid"))
    memcached, mongod = data.on_port(11211), data.on_port(27017)
    beam = data.on_port(5672)
    rabbit = {beam} | data.pids_where(lambda p: p.comm in ("rabbitmq-server", "epmd"))
    rabbit_log = sh(f"readlink /proc/{beam}/fd/* | grep '/rabbit@[a-z]*\\.log$' | sort -u")
    mysql_log, redis_log = (
        sh("mysql -Nse 'select @@log_error'"),
        sh("sed -n 's/^logfile //p' /etc/redis/redis.conf"),
    )
    return [
        data.facts("mysql", mysql, [mysql], [mysql_log], answers=sh("mysql -Nse 'select 1'") == "1"),
        data.facts(
            "redis", redis, [redis], [redis_log], answers=ask(address, 6379, b"PING\r\n") == b"+PONG\r\n"
        ),
        data.facts(
            "memcached",
            memcached,
            [memcached],
            [sh("sed -n 's/^logfile //p' /etc/memcached.conf")],
            answers=ask(address, 11211, b"version\r\n").startswith(b"VERSION "),
        ),
        data.facts(
            "mongodb", mongod, [mongod], [sh(f"readlink /proc/{mongod}/fd/1")], answers=says_hello(address)
        ),
        data.facts(
            "rabbitmq",
            beam,
            rabbit,
            [rabbit_log],
            answers=ask(address, 5672, b"AMQP\x00\x00\x09\x01").startswith(b"\x01\x00\x00"),
        ),
    ]


# One question each.


def get(address: str, port: int, path: str) -> int | None:
    """The status of a GET; None when nothing answers."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def ask(address: str, port: int, question: bytes) -> bytes:
    with socket.create_connection((address, port), 10) as stream:
        stream.sendall(question)
        return stream.recv(4096)


def says_hello(address: str) -> bool:
    """MongoDB's OP_MSG with `hello`."""
    body = bytes(4) + b"\x00" + bson.encode({"hello": 1, "$db": "admin"})
    answer = ask(address, 27017, struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
    return bson.decode(answer[21:]).get("ok") == 1.0
