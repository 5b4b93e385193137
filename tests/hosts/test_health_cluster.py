"""Health checks on the cluster's real nginx and Redis: maintenance, certificates, tasks that wait."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from edxconsole.cluster.model import ClusterSnapshot, Evidence, State
from edxconsole.engine import Engine
from edxconsole.health import watcher
from screens.health import HealthScreen
from screens.place import Place, Visit
from tests.lab import shown
from tests.lab.cluster import NEEDS, NEEDS_FULL, LabCluster
from tests.lab.console import Console
from tests.lab.watching import instance, until, watching
from tests.unit.health.certificates import certificate
from widgets.health_rows import CheckLine

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs(*NEEDS),
    pytest.mark.timeout(240),
]

FLAG = "/edx/var/nginx/server-static/maintenance_heartbeat.txt"
SITE = "/etc/nginx/sites-enabled/tls-of-a-test"
TLS = "/etc/nginx/tls-of-a-test"
SOON = 60.0


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check twenty times as often as the catalog says: some are asked once a minute."""
    monkeypatch.setattr(watcher, "SPREAD", (0.04, 0.06))


def said(host: str, component: str, word: str, state: State) -> Callable[[ClusterSnapshot], Evidence | None]:
    """Finds evidence of a health check in a state, whose text has a word."""

    def seen(snapshot: ClusterSnapshot) -> Evidence | None:
        one = instance(snapshot.hosts[host], component)
        told = one.evidence if one is not None else ()
        return next((e for e in told if e.source == "health" and e.state is state and word in e.text), None)

    return seen


@asynccontextmanager
async def watched(
    cluster: LabCluster, directory: Path, *, sites: tuple[str, ...] = ()
) -> AsyncIterator[Engine]:
    async with watching(replace(cluster.inventory(), sites=sites), directory) as engine:
        yield engine


async def test_a_maintenance_file_is_warned_of(cluster: LabCluster, tmp_path: Path) -> None:
    await cluster.web.ash(f"mkdir -p $(dirname {FLAG}); touch {FLAG}")
    try:
        async with watched(cluster, tmp_path) as engine:
            found, _ = await until(
                engine, said("web", "nginx", FLAG, State.DEGRADED), within=30, what="maintenance"
            )
            assert "load balancers keep this host" in found.text
            nginx = instance(engine.snapshot.hosts["web"], "nginx")
            assert nginx is not None
            assert nginx.state is State.DEGRADED
            await cluster.web.ash(f"rm {FLAG}")
            await until(engine, said("web", "nginx", f"no {FLAG}", State.UP), within=SOON, what="it is over")
    finally:
        await cluster.web.ash(f"rm -f {FLAG}")


async def serve_tls(cluster: LabCluster, *named: tuple[str, float]) -> None:
    """nginx shows a certificate for each (name, days that it holds); the first to who names none of them."""
    sites = []
    for name, days in named:
        pem, key = certificate(days, name=name)
        await cluster.web.ash(f"printf '%s' '{pem.decode()}' >{TLS}/{name}.pem")
        await cluster.web.ash(f"umask 077; printf '%s' '{key.decode()}' >{TLS}/{name}.key")
        pair = f"ssl_certificate {TLS}/{name}.pem; ssl_certificate_key {TLS}/{name}.key"
        sites.append(f"server {{ listen 48000 ssl; server_name {name}; {pair}; return 204; }}")
    await cluster.web.ash(f"echo '{' '.join(sites)}' >{SITE}; nginx -s reload")


@asynccontextmanager
async def serving_tls(cluster: LabCluster, *named: tuple[str, float]) -> AsyncIterator[None]:
    await cluster.web.ash(f"mkdir -p {TLS}")
    try:
        await serve_tls(cluster, *named)
        yield
    finally:
        await cluster.web.ash(f"rm -rf {SITE} {TLS}; nginx -s reload")


async def test_the_certificate_that_nginx_shows_is_judged(cluster: LabCluster, tmp_path: Path) -> None:
    async with serving_tls(cluster, ("lms.lab", 9.5)), watched(cluster, tmp_path) as engine:
        found, _ = await until(
            engine, said("web", "nginx", "expires in", State.DEGRADED), within=30, what="certificate"
        )
        assert found.text.startswith("certificate: the certificate of CN=lms.lab expires in 9 days, on ")
        assert found.every == 900
        others = [e for e in nginx_of(engine) if e.text.startswith("answers: ")]
        assert [e.state for e in others] == [State.UP], "the rest of it is asked as ever"


async def test_each_site_is_asked_by_its_name(cluster: LabCluster, tmp_path: Path) -> None:
    """nginx shows one certificate to who names no site, and to Studio's visitors another that ends soon."""
    lms, studio = "courses.lab.test", "studio.lab.test"
    async with serving_tls(cluster, (lms, 89.5), (studio, 9.5)):
        async with watched(cluster, tmp_path, sites=(lms, studio)) as engine:
            found, _ = await until(
                engine, said("web", "nginx", "expires in", State.DEGRADED), within=30, what="Studio's end"
            )
            assert found.text.startswith(
                f"certificate: {studio}: the certificate of CN={studio} expires in 9 "
            )
            assert found.text.endswith("; 1 of 2 sites are well")
        async with watched(cluster, tmp_path) as engine:
            nameless, _ = await until(
                engine, said("web", "nginx", "holds 89 days", State.UP), within=30, what="the default's"
            )
            assert nameless.text.startswith(f"certificate: the certificate of CN={lms} holds ")


def nginx_of(engine: Engine) -> tuple[Evidence, ...]:
    found = instance(engine.snapshot.hosts["web"], "nginx")
    return found.evidence if found is not None else ()


async def test_tasks_that_wait_for_nobody_are_a_problem(cluster: LabCluster, tmp_path: Path) -> None:
    """What BRPOP does here is what an idle worker of Celery does."""
    push = "for i in $(seq 25); do echo LPUSH edx.lms.core.high task; done | redis-cli -n 2 >/dev/null"
    await cluster.data.ash(push)
    try:
        async with watched(cluster, tmp_path) as engine:
            found, _ = await until(
                engine, said("data", "redis", "nobody takes them", State.DEGRADED), within=30, what="backlog"
            )
            assert "over 20 in edx.lms.core.high" in found.text
            cluster.data.spawn("redis-cli -n 2 BRPOP some.other.queue 0")
            await until(
                engine, said("data", "redis", "workers take them", State.UP), within=SOON, what="one takes"
            )
            await cluster.data.ash("redis-cli -n 2 DEL edx.lms.core.high")
            await until(engine, said("data", "redis", "no task waits", State.UP), within=SOON, what="none")
    finally:
        await cluster.data.ash(
            "redis-cli -n 2 DEL edx.lms.core.high; redis-cli -n 2 LPUSH some.other.queue x"
        )


async def test_memcached_says_how_it_does(cluster: LabCluster, tmp_path: Path) -> None:
    async with watched(cluster, tmp_path) as engine:
        found, _ = await until(
            engine, said("data", "memcached", "memcached 1.", State.UP), within=30, what="memcached"
        )
        assert found.text.startswith("stats: memcached 1.")
        assert " answers" in found.text


async def test_mysql_is_asked_more_where_the_login_user_may(cluster: LabCluster, tmp_path: Path) -> None:
    """The real MariaDB, with a user of its own; its password is in ~/.my.cnf and nowhere else."""
    home = (await cluster.data.ash(f"getent passwd {cluster.data.user} | cut -d: -f6")).strip()
    await cluster.data.ash("mysql -e \"CREATE USER watcher@localhost IDENTIFIED BY 'hunter2'\"")
    try:
        async with watched(cluster, tmp_path) as engine:
            hidden, _ = await until(
                engine, said("data", "mysql", "has no ~/.my.cnf", State.UNKNOWN), within=30, what="no login"
            )
            assert "only its greeting is known" in hidden.text
            mysql = instance(engine.snapshot.hosts["data"], "mysql")
            assert mysql is not None
            assert mysql.state is State.UP, "that it greets was seen by another check"
            login = "[client]\\nuser=watcher\\npassword=hunter2\\n"
            mine = f"chown {cluster.data.user} {home}/.my.cnf; chmod 600 {home}/.my.cnf"
            await cluster.data.ash(f"printf '{login}' >{home}/.my.cnf; {mine}")
            told, _ = await until(
                engine, said("data", "mysql", "answers SELECT 1", State.UP), within=SOON, what="SELECT 1"
            )
            assert " connections are used" in told.text
            assert "hunter2" not in repr(engine.snapshot)
            await cluster.data.ash('mysql -e "SET GLOBAL max_connections = 10"')
            for _ in range(9):
                cluster.data.spawn("mysql -e 'SELECT SLEEP(200)'")
            full, _ = await until(
                engine, said("data", "mysql", "of 10 connections", State.DEGRADED), within=SOON, what="full"
            )
            assert "Too many connections" in full.text
    finally:
        await cluster.data.ash(
            f"rm -f {home}/.my.cnf; kills=$(mysql -N -e \"SELECT CONCAT('KILL ', id, ';') FROM"
            " information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'\");"
            ' mysql -e "$kills SET GLOBAL max_connections = 151; DROP USER watcher@localhost"'
        )


async def test_the_stand_in_of_mongod_says_who_waits(cluster: LabCluster, tmp_path: Path) -> None:
    async with watched(cluster, tmp_path) as engine:
        await until(
            engine, said("data", "mongodb", "nobody waits long", State.UP), within=30, what="its locks"
        )


ASKED = 60.0
"""seconds within which a screen shows an answer; one that never comes takes its whole timeout"""


async def lines_until(
    pilot: Pilot[Any], seen: Callable[[dict[str, CheckLine]], bool], what: str, *, key: str = "r"
) -> dict[str, CheckLine]:
    """The checks of the Health screen by "host/check", once they are so; `key` asks again until then."""
    end = time.monotonic() + ASKED
    while True:
        screen = pilot.app.screen
        if isinstance(screen, HealthScreen):
            if seen(screen.asking.lines):
                return screen.asking.lines
            if not screen.asking.running:
                await pilot.press(key)
        assert time.monotonic() < end, (what, screen)
        await pilot.pause(0.1)


def answer(line: CheckLine | None) -> State | None:
    return line.asked.evidence.state if line is not None and line.asked is not None else None


async def test_the_screen_asks_each_host_apart_and_what_costs_when_told(
    cluster: LabCluster, tmp_path: Path
) -> None:
    """The gunicorn of app2 is stopped as by a debugger: it accepts, and never answers."""
    beats, more = ("app1/heartbeat", "app2/heartbeat"), "app1/extended heartbeat"
    stopped = await cluster.app2.ash("pgrep -f '[g]unicorn.*lms.wsgi' | tr '\\n' ' '")
    async with shown.console(cluster.inventory(), tmp_path) as pilot:
        await shown.rows(pilot, "lms")
        try:
            await cluster.app2.ash(f"kill -STOP {stopped}")
            pilot.app.screen.post_message(Visit(Place("health", "app1", "lms")))
            lines = await lines_until(
                pilot,
                lambda x: (answer(x.get(beats[0])), answer(x.get(beats[1]))) == (State.UP, State.DOWN),
                "app1 answers, and app2 is given up",
            )
            one, two = (lines[beat].asked for beat in beats)
            assert one is not None
            assert two is not None
            assert two.text == "127.0.0.1:8000 gave no answer within 6 s"
            assert one.took < two.took
            assert one.evidence.age.seen < two.evidence.age.seen, "neither waited for the other"
            assert lines[more].asked is None
            assert lines[more].check.spec.cost
        finally:
            await cluster.app2.ash(f"kill -CONT {stopped}")
        lines = await lines_until(pilot, lambda x: all(answer(x[b]) is State.UP for b in beats), "both are")
        assert lines[more].asked is None, "it costs"
        lines = await lines_until(pilot, lambda x: answer(x[more]) is State.UP, "what costs", key="x")
        assert lines[more].asks == "GET /heartbeat?extended at 127.0.0.1:8000 as localhost"


def test_the_command_says_how_long_each_answer_took(cluster: LabCluster, tmp_path: Path) -> None:
    console = Console(cluster.lab.hosts_yaml(cluster.inventory()), tmp_path)
    cheap, all_of_them = (
        {(c["host"], c["check"]): c for c in console.json("health", "lms", *more, status=None)["checks"]}
        for more in ((), ("--extended",))
    )
    hosts = ("app1", "app2")
    assert set(cheap) == {(host, "heartbeat") for host in hosts}
    assert set(all_of_them) == {(h, c) for h in hosts for c in ("heartbeat", "extended heartbeat")}
    assert all(check["took_seconds"] > 0 for check in all_of_them.values())
    assert all_of_them["app1", "extended heartbeat"]["every_seconds"] is None


@pytest.mark.needs(*NEEDS_FULL)
async def test_messages_that_wait_for_nobody_are_a_problem(full_cluster: LabCluster, tmp_path: Path) -> None:
    """A real RabbitMQ, asked by its management API with the user of its configuration."""
    api = "curl -sfu celery:celery http://127.0.0.1:15672/api"
    body = '{"properties": {}, "routing_key": "left.over", "payload": "x", "payload_encoding": "string"}'
    await full_cluster.data.ash(
        f"{api}/queues/%2F/left.over -X PUT -H content-type:application/json -d '{{}}'"
    )
    await full_cluster.data.ash(f"{api}/exchanges/%2F/amq.default/publish -X POST -d '{body}'")
    try:
        async with watched(full_cluster, tmp_path) as engine:
            found, _ = await until(
                engine,
                said("data", "rabbitmq", "1 in left.over", State.DEGRADED),
                within=60,
                what="a message",
            )
            assert "nobody takes them" in found.text
            assert found.every == 30
            rabbit = instance(engine.snapshot.hosts["data"], "rabbitmq")
            assert rabbit is not None
            assert "celery:celery" not in repr(rabbit)
            await full_cluster.data.ash(f"{api}/queues/%2F/left.over -X DELETE")
            await until(
                engine, said("data", "rabbitmq", "nothing waits", State.UP), within=SOON, what="it is gone"
            )
            await full_cluster.data.ash("chmod 600 /etc/rabbitmq/rabbitmq.conf")
            hidden, _ = await until(
                engine, said("data", "rabbitmq", "may not be read", State.UNKNOWN), within=SOON, what="hidden"
            )
            assert "`edxconsole inspect rabbitmq`" in hidden.text
            rabbit = instance(engine.snapshot.hosts["data"], "rabbitmq")
            assert rabbit is not None
            assert rabbit.state is State.UP, "that it answers was seen by another check"
    finally:
        await full_cluster.data.ash(
            f"chmod 644 /etc/rabbitmq/rabbitmq.conf; {api}/queues/%2F/left.over -X DELETE || true"
        )
