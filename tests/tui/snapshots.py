"""A synthetic cluster with every state there is, as the engine would publish it. Fixed in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edxconsole.catalog.model import Actions, ActionSpec, Catalog, Component, HealthSpec, LogSpec
from edxconsole.cluster.model import (
    Age,
    ClusterSnapshot,
    Cost,
    Evidence,
    HostSnapshot,
    HostVitals,
    Instance,
    Link,
    Listener,
    Problem,
    Process,
    State,
    SupervisorInfo,
)
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.inventory.model import Environment, Host, Inventory
from edxconsole.probe.frames import Disk

NOW = 1_795_426_872.0
"""2026-11-23 09:41:12 UTC"""
MONO = 5_000.0
GIB = 1 << 20
SOCK = "supervisor:/edx/var/supervisor/supervisor.sock"
AGE = Age(NOW - 1, MONO - 1)

TITLES = {
    "nginx": ("nginx", "Takes every request and hands it to an app server.", "Nobody reaches the site."),
    "lms": ("LMS", "The site learners use.", "Learners see an error page."),
    "cms": ("Studio", "The site authors use.", "Authors can't edit courses."),
    "xqueue": ("xqueue", "Queues submissions for graders.", "External graders get no work."),
    "edxapp_worker": ("edxapp workers", "Run celery tasks.", "Grades, mail and publishing stand still."),
    "supervisor": ("supervisor", "Keeps the programs running.", "Nothing restarts what dies."),
    "rabbitmq": ("RabbitMQ", "Carries celery's messages.", "No task starts."),
    "memcached": ("memcached", "Remembers what was computed.", "Everything is slow."),
    "mongodb": ("MongoDB", "Holds the courses.", "No course opens."),
    "mysql": ("MySQL", "Holds users, grades and enrolments.", "Nothing works."),
}


COST = (
    "it queues a task for a worker and holds an LMS worker up to 5 s until it is done; it fails by half "
    "where app hosts don't share a memcached"
)


def heartbeats(port: int) -> tuple[HealthSpec, ...]:
    more: dict[str, Any] = {"kind": "http", "port": port, "host_header": "localhost", "level": "L3"}
    reaches = "it answers, and reaches its SQL database and module store"
    does = "a worker did a sample task and its result came back through the cache"
    return (
        HealthSpec(name="heartbeat", path="/heartbeat", meaning=reaches, **more),
        HealthSpec(
            name="extended heartbeat", path="/heartbeat?extended", meaning=does, on_demand=True, cost=COST,
            gate=False, **more,
        ),
    )  # fmt: skip


HEALTH = {
    "lms": heartbeats(8000),
    "cms": heartbeats(8010),
    "nginx": (
        HealthSpec(name="answers", kind="nginx", meaning="nginx answers; nothing of what is behind it"),
        HealthSpec(name="maintenance", kind="absent", path="/edx/var/nginx/maintenance.txt", every=60),
        HealthSpec(name="certificate", kind="tls", every=900, meaning="how long it holds"),
    ),
    "memcached": (HealthSpec(name="stats", kind="memcached", port=11211),),
}


def catalog() -> Catalog:
    components = {
        name: Component(
            id=name,
            title=title,
            what=what,
            breaks=breaks,
            first_log=f"/edx/var/log/{name}",
            logs=(LogSpec(name="stderr", path=f"/edx/var/log/supervisor/{name}-stderr.log", format="plain"),),
            configs=(f"/edx/etc/{name}.yml",),
            health=HEALTH.get(name, ()),
            depends=("mysql", "memcached") if name in ("lms", "cms") else (),
            actions=Actions(
                restart=ActionSpec(what=f"Restarts {title}.", warning="Requests fail meanwhile.")
            ),
        )
        for name, (title, what, breaks) in TITLES.items()
    }
    return Catalog(components=components)


def inventory(environment: Environment = Environment.PRODUCTION, *, names: tuple[str, ...] = ()) -> Inventory:
    hosts = {
        name: Host(name=name, address=f"192.0.2.{n}", user="ops")
        for n, name in enumerate(names or ("web", "app1", "app2", "data"), 11)
    }
    groups = {"app": tuple(n for n in hosts if n.startswith("app"))}
    return Inventory(cluster="campus", environment=environment, hosts=hosts, groups=groups)


def evidence(state: State, *texts: tuple[str, str], seen: float = 1.0) -> tuple[Evidence, ...]:
    age = Age(NOW - seen, MONO - seen)
    return tuple(Evidence(source, text, state, age) for source, text in texts)


def instance(
    component: str, host: str, state: State = State.UP, reason: str = "", **more: object
) -> Instance:
    texts = (("process", "master and 4 workers run"), ("health", "GET /heartbeat: 200 in 41 ms"))
    body = Instance(
        component=component,
        host=host,
        state=state,
        reason=reason,
        since=NOW - 3 * 3600,
        units=(f"{SOCK}/{component}",),
        pids=(4242,),
        evidence=evidence(state, *texts),
        expected=True,
    )
    return replace(body, **more)  # type: ignore[arg-type]


def vitals(load: float, memory: float, disk: float) -> HostVitals:
    total, size = 8 * GIB, 40 * GIB
    return HostVitals(
        load=(load, load * 0.9, load * 0.8),
        cpu=load / 4,
        cores=4,
        mem_total=total,
        mem_available=int(total * (1 - memory)),
        swap_total=0,
        swap_free=0,
        disks=(
            Disk("/", "/dev/vda1", size, int(size * (1 - disk)), 1000, 900),
            Disk("/edx/var", "/dev/vdb1", size * 4, int(size * 4 * 0.7), 1000, 900),
        ),
    )


def unit(name: str, health: UnitHealth, word: str, detail: str = "", *, manager: str = SOCK) -> Unit:
    running = health is UnitHealth.RUNNING
    return Unit(
        manager=manager,
        name=name,
        word=word,
        health=health,
        identity=Identity(pid=4242, start=1000) if running else Identity(),
        since=NOW - 3 * 3600,
        detail=detail,
        log_paths=(f"/edx/var/log/supervisor/{name}-stderr.log",),
    )


def listener(port: int, component: str, *, address: str = "127.0.0.1", pid: int | None = 4242) -> Listener:
    how = "owner" if pid is not None else "guess"
    return Listener("tcp", address, port, "www-data", pid, how, component if pid else "", component)


def _host(name: str, address: str, instances: tuple[Instance, ...], **more: object) -> HostSnapshot:
    manager = SupervisorInfo(
        id=SOCK, config="/edx/etc/supervisord.conf", endpoint="unix:/edx/var/supervisor/supervisor.sock",
        owner="supervisor", version="3.2.3", word="RUNNING", identity=Identity(pid=900, start=50),
    )  # fmt: skip
    body = HostSnapshot(
        name=name,
        version=7,
        link=Link.LIVE,
        reason="",
        since=NOW - 7200,
        address=address,
        user="ops",
        transport="asyncssh",
        hostname=name,
        kernel="Linux 5.15",
        python="3.8.10",
        groups=("app",) if name.startswith("app") else (),
        rtt=0.012,
        skew=0.02,
        skew_error=0.01,
        vitals=vitals(0.42, 0.38, 0.31),
        supervisors=(manager,) if name.startswith("app") else (),
        instances=instances,
        ages={"processes": AGE, "vitals": AGE},
        cost=Cost(cpu=0.2, rss=9_800),
    )
    return replace(body, **more)  # type: ignore[arg-type]


def _app1() -> HostSnapshot:
    fatal = "exited too quickly (process log may have details)"
    programs = [
        unit("lms", UnitHealth.RUNNING, "RUNNING"),
        unit("cms", UnitHealth.FAILED, "FATAL", fatal),
        unit("xqueue", UnitHealth.RUNNING, "RUNNING"),
        unit("edxapp_worker:lms_default_1", UnitHealth.RUNNING, "RUNNING"),
        unit("edxapp_worker:lms_high_1", UnitHealth.STOPPED, "STOPPED", "Not started"),
    ]
    nginx = unit("nginx.service", UnitHealth.STOPPED, "inactive (dead)", manager="systemd")
    workers = ("edxapp_worker:lms_default_1", "edxapp_worker:lms_high_1")
    return _host(
        "app1",
        "192.0.2.12",
        (
            instance("lms", "app1", ports=(8000,), workers_expected=4, workers_found=4),
            instance("cms", "app1", State.DOWN, f"supervisor says FATAL: {fatal}", since=NOW - 190, pids=()),
            instance("xqueue", "app1", ports=(8040,)),
            instance(
                "edxapp_worker", "app1", State.DEGRADED, "1 of 2 programs runs", since=NOW - 5400,
                units=tuple(f"{SOCK}/{w}" for w in workers), workers_expected=2, workers_found=1,
            ),
            instance("supervisor", "app1", units=()),
        ),
        vitals=vitals(5.1, 0.88, 0.97),
        units={f"{u.manager}/{u.name}": u for u in [*programs, nginx]},
        listeners=(
            listener(22, "", address="0.0.0.0", pid=None),
            listener(8000, "lms"),
            listener(8040, "xqueue"),
            Listener("tcp6", "::", 22, "root", None, "none", "", ""),
        ),
        processes={
            4242: Process(
                4242, 1000, NOW - 10_800, 900, 33, "www-data", "gunicorn",
                ("gunicorn", "lms.wsgi:application"), "S", 2.5, 210_000, 1,
            )
        },
        notes=("The owner of port 22 can't be read; add the sudoers rule of `edxconsole sudoers`.",),
    )  # fmt: skip


def cluster(environment: Environment = Environment.PRODUCTION) -> ClusterSnapshot:
    """web live; app1 with troubles; app2 stale for 4 s; data lost for 2 min."""
    web = _host("web", "192.0.2.11", (instance("nginx", "web", ports=(80, 443)),))
    app2 = _host(
        "app2",
        "192.0.2.13",
        (instance("lms", "app2"), instance("cms", "app2"), instance("supervisor", "app2")),
        link=Link.STALE,
        reason="nothing heard for 4 s",
        since=NOW - 2,
        ages={"processes": Age(NOW - 4.2, MONO - 4.2)},
    )
    data = _host(
        "data",
        "192.0.2.14",
        (
            instance("rabbitmq", "data"),
            instance("memcached", "data"),
            instance("mongodb", "data", State.ABSENT, "expected by hosts.yaml, nothing seen", pids=()),
            instance("mysql", "data", State.UNKNOWN, "the owner of port 3306 can't be read"),
        ),
        link=Link.LOST,
        reason="the connection was reset; trying again in 4 s",
        since=NOW - 130,
        ages={"processes": Age(NOW - 131, MONO - 131)},
    )
    problems = (
        Problem(State.DOWN, "data", "", "lost: the connection was reset; trying again in 4 s", NOW - 130),
        Problem(State.DOWN, "app1", "cms", "supervisor says FATAL: exited too quickly", NOW - 190),
        Problem(State.DEGRADED, "app1", "", "disk / is 97 % full, 1.2 G left", NOW - 3600),
        Problem(State.DEGRADED, "app1", "edxapp_worker", "1 of 2 programs runs", NOW - 5400),
        Problem(State.ABSENT, "data", "mongodb", "expected by hosts.yaml, nothing seen", NOW - 90_000),
    )
    hosts = {h.name: h for h in (web, _app1(), app2, data)}
    return ClusterSnapshot(
        version=12, name="campus", environment=environment.value, hosts=hosts, problems=problems
    )


def healthy() -> ClusterSnapshot:
    """Everything live and up: nothing to say."""
    whole = cluster(Environment.DEVELOPMENT)
    hosts = {
        name: replace(
            host, link=Link.LIVE, reason="", vitals=vitals(0.4, 0.4, 0.3), ages={"processes": AGE},
            instances=tuple(replace(i, state=State.UP, reason="") for i in host.instances),
        )
        for name, host in whole.hosts.items()
    }  # fmt: skip
    return replace(whole, hosts=hosts, problems=())
