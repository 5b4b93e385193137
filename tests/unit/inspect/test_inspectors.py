"""Whole inspections: of services as they answer well, and as nothing should."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from edxconsole.cluster.model import State
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.registry import INSPECTORS
from tests.unit.inspect.stage import CATALOG, Serve, Stage, listener, look, process, served, snapshot

DUMP = (Path(__file__).with_name("golden") / "nginx-T-1.22.1.txt").read_text()
MASTER = process(10, "nginx: master process /usr/sbin/nginx", user="root")
PASSED = "nginx: configuration file /etc/nginx/nginx.conf test is successful\n"


def findings(found: Inspection) -> list[tuple[State, str]]:
    return [(f.state, f.text) for f in found.findings]


def missing(found: Inspection) -> str:
    return "; ".join(f"{m.what}: {m.cause}" for m in found.missing)


def test_every_inspector_is_of_a_component_of_the_catalog() -> None:
    assert set(INSPECTORS) <= set(CATALOG.components)


async def test_nginx(stage: Stage) -> None:
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n", "/usr/sbin/nginx -T": (0, DUMP, PASSED)}
    workers = [
        process(11, "nginx: worker process", ppid=10),
        process(12, "nginx: worker process is shutting down"),
    ]
    host = snapshot("nginx", [MASTER, *workers], [listener(18000, "nginx")])
    found = await look("nginx", stage, host)
    assert ("root", "/usr/sbin/nginx -T") in stage.ran
    assert found.section("check").fact("passes") is True
    servers = found.section("sites").table("servers").rows
    assert [(r["port"], r["listening"], r["passes_to"]) for r in servers] == [
        (18000, True, "lms-backend"),
        (18000, True, "lms-backend"),
        (18080, False, "forum_app_server"),
    ]
    members = {r["member"]: r["state"] for r in found.section("upstreams").table("members").rows}
    assert members["127.0.0.3:8000"] == "down by configuration"
    assert members["unix:/edx/var/forum/forum.sock"] == "silent"
    told = [text for _, text in findings(found)]
    assert any(t.startswith("no member of forum_app_server answers") for t in told)
    assert any("not listened on: 18080" in t for t in told)
    assert found.section("processes").fact("workers") == 1


async def test_an_nginx_of_the_login_itself_needs_no_root(stage: Stage) -> None:
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n", "/usr/sbin/nginx -T": (0, DUMP, PASSED)}
    found = await look("nginx", stage, snapshot("nginx", [replace(MASTER, user="ops")]), sudo=False)
    assert (None, "/usr/sbin/nginx -T") in stage.ran
    assert found.section("check").fact("passes") is True


@pytest.mark.parametrize("before", ["nginx: [emerg] ", "2026/11/23 05:51:01 [emerg] 120#120: "])
async def test_nginx_whose_configuration_is_broken(stage: Stage, before: str) -> None:
    said = f'{before}unknown directive "bogus" in /etc/nginx/sites-enabled/x:3\n'
    said += "nginx: configuration file /etc/nginx/nginx.conf test failed\n"
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n", "/usr/sbin/nginx -T": (1, "", said)}
    found = await look("nginx", stage, snapshot("nginx", [MASTER]))
    assert found.section("check").fact("passes") is False
    told = '[emerg] unknown directive "bogus" in /etc/nginx/sites-enabled/x:3'
    assert found.section("check").fact("says") == told
    assert (State.DEGRADED, f"nginx -t fails, a reload or restart will too: {told}") in findings(found)
    assert "configuration" in missing(found)


async def test_a_process_that_calls_itself_nginx_is_not_run_as_root(stage: Stage) -> None:
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n", "/usr/sbin/nginx -T": (0, DUMP, PASSED)}
    evil = process(10, "nginx: master process /tmp/evil -c /tmp/evil.conf")
    found = await look("nginx", stage, snapshot("nginx", [evil]))
    assert not any("/tmp/evil" in line for become, line in stage.ran if become)
    assert "configuration in force: the master runs as" in missing(found)


async def test_without_sudo_nginx_says_what_is_missing(stage: Stage) -> None:
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n"}
    found = await look("nginx", stage, snapshot("nginx", [MASTER]), sudo=False)
    (told,) = found.missing
    assert told.cause == "/usr/sbin/nginx needs the rights of root"
    assert "ops ALL=(root) NOPASSWD: /usr/sbin/nginx -T" in told.remedy
    assert found.section("processes").fact("master_pid") == 10


async def test_gunicorn_as_told_and_as_found(stage: Stage, tmp_path: Path) -> None:
    config = tmp_path / "lms_gunicorn.py"
    config.write_text("workers = 3\ntimeout = 300\npreload_app = False\nbind = '127.0.0.1:8000'\n")
    stage.script = {"ss ": "0 0 127.0.0.1:8000 127.0.0.1:5\n0 0 127.0.0.1:8000 127.0.0.1:6\n"}
    line = f"/v/bin/python /v/bin/gunicorn -c {config} lms.wsgi"
    rows = [process(5, "/bin/sh /edx/app/edxapp/lms.sh"), process(20, line, ppid=5)]
    rows += [process(21, line, ppid=20), process(22, line, ppid=20), process(9, line, ppid=1)]
    found = await look("lms", stage, snapshot("lms", rows))
    settings = found.section("settings")
    assert (settings.fact("timeout"), settings.fact("preload_app"), settings.fact("threads")) == (
        300,
        False,
        1,
    )
    assert settings.fact("config") == str(config)
    workers = found.section("workers")
    assert (workers.fact("expected"), workers.fact("found")) == (3, 2)
    assert found.section("traffic").fact("open_connections") == 2
    assert [t for _, t in findings(found)] == [
        "orphans of an earlier master still run: 9; they may hold the port",
        "2 workers run, fewer than the 3 of its settings",
    ]


STATS = b"STAT pid 7\r\nSTAT version 1.6.18\r\nSTAT get_hits 3\r\nSTAT get_misses 1\r\nSTAT bytes 99\r\n"
STATS += b"STAT limit_maxbytes 100\r\nSTAT evictions 5\r\nSTAT curr_connections 2\r\nEND\r\n"


def says(*answers: bytes) -> Serve:
    """Each answer to one line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return serve


async def of_cache(
    stage: Stage, component: str, serve: Serve, monkeypatch: pytest.MonkeyPatch, deadline: float = 20.0
) -> Inspection:
    async with served(serve) as port:
        spec = CATALOG.components[component].health[0].model_copy(update={"port": port})
        known = CATALOG.components[component].model_copy(update={"health": (spec,)})
        monkeypatch.setitem(CATALOG.components, component, known)
        host = snapshot(component, [], [listener(port, component)])
        return await look(component, stage, host, deadline=deadline)


async def test_memcached(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await of_cache(stage, "memcached", says(STATS), monkeypatch)
    assert found.section("hits").fact("hit_percent") == 75.0
    assert found.section("memory").fact("used_percent") == 99.0
    assert [t for _, t in findings(found)] == [
        "its memory is full: 5 items were thrown out early; sessions may be lost"
    ]


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"STAT a b\r\n" * 5000)
        await writer.drain()


@pytest.mark.parametrize(
    ("component", "serve", "words"),
    [
        ("memcached", endless, "answers without an end"),
        ("memcached", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "answers, but not as memcached"),
        ("memcached", says(b"\xff\xfe\r\n"), "answers, but not as memcached"),
        ("memcached", says(b"ERROR\r\n"), "answers `ERROR` to stats"),
        ("redis", endless, "answers, but not as Redis"),
        ("redis", says(b"$999999999999\r\n"), "answers, but not as Redis"),
        ("redis", says(b"*" + b"9" * 300 + b"\r\n"), "answers, but not as Redis"),
        ("redis", says(b"-LOADING Redis is loading\r\n"), "Redis says LOADING Redis is loading"),
    ],
)
async def test_a_service_that_is_none_is_told_in_one_sentence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, component: str, serve: Serve, words: str
) -> None:
    found = await of_cache(stage, component, serve, monkeypatch)
    assert words in missing(found)
    assert found.sections == ()


def redis_that_tells(info: bytes, seen: list[bytes], password: bytes = b"") -> Serve:
    """One that answers INFO, to those who know its password if it has one, and refuses all else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        allowed = not password
        while head := await reader.readline():
            words = []
            for _ in range(int(head[1:])):
                await reader.readline()
                words.append((await reader.readline()).strip())
            seen.append(b" ".join(words))
            if words[0] == b"AUTH":
                allowed = words[1] == password
                writer.write(b"+OK\r\n")
            elif not allowed:
                writer.write(b"-NOAUTH Authentication required.\r\n")
            elif words[0] == b"INFO":
                writer.write(b"$%d\r\n%s\r\n" % (len(info), info))
            else:
                writer.write(b"-NOPERM this user has no permissions\r\n")

    return serve


async def test_a_password_of_redis_is_read_and_never_shown(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.script = {"sh -c": (77, "", ""), "head -c": 'bind 127.0.0.1\nrequirepass "hunter2"\n'}
    info = b"redis_version:7.0.15\r\nused_memory:95\r\nmaxmemory:100\r\n"
    seen: list[bytes] = []
    serve = redis_that_tells(info, seen, password=b"hunter2")
    found = await of_cache(stage, "redis", serve, monkeypatch)
    assert b"AUTH hunter2" in seen
    assert "hunter2" not in repr(found)
    assert found.section("server").fact("version") == "7.0.15"
    assert "settings: Redis says NOPERM" in missing(found)
    assert [t for _, t in findings(found)] == ["95 % of its memory limit is used"]
    assert {line.split()[0] for line in seen} <= {b"AUTH", b"INFO", b"CONFIG", b"SELECT", b"LLEN"}


@pytest.mark.parametrize(("said", "limit"), [(b"maxmemory:0\r\n", "none"), (b"", None)])
async def test_no_limit_is_not_an_unknown_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, said: bytes, limit: str | None
) -> None:
    info = b"redis_version:7.0.15\r\nused_memory:95\r\n" + said
    found = await of_cache(stage, "redis", redis_that_tells(info, []), monkeypatch)
    memory = found.section("memory")
    assert (memory.fact("limit_bytes"), memory.fact("used_percent")) == (limit, limit)
    assert memory.fact("used_bytes") == 95


async def test_a_directive_that_is_not_there_is_told_as_such(stage: Stage) -> None:
    dump = DUMP.replace("user www-data;", "").replace("worker_connections 768;", "")
    stage.script = {"sh -c for p": "/usr/sbin/nginx\n", "/usr/sbin/nginx -T": (0, dump, PASSED)}
    found = await look("nginx", stage, snapshot("nginx", [MASTER]))
    workers = found.section("workers")
    assert (workers.fact("user"), workers.fact("worker_connections")) == ("none", "none")


async def test_what_is_not_installed_is_told(stage: Stage) -> None:
    stage.script = {"sh -c for p": (1, "", "")}
    found = await look("nginx", stage, snapshot("nginx", [MASTER]))
    assert "nginx is not installed at a known place" in missing(found)


async def test_an_inspection_that_does_not_end_is_cut_off(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    found = await of_cache(stage, "memcached", never, monkeypatch, deadline=0.2)
    assert missing(found) == "the rest: memcached was not told within 0.2 s"


async def test_mysql_that_lets_nobody_in(stage: Stage) -> None:
    denied = (1, "", "ERROR 1698 (28000): Access denied for user 'ops'@'localhost'\n")
    stage.script = {"sh -c for p": "/usr/bin/mysql\n", "test -e": "", "/usr/bin/mysql": denied}
    found = await look("mysql", stage)
    assert "MySQL does not let ops in: ERROR 1698" in missing(found)
    asked = [
        (become, line.split(" -e ")[0]) for become, line in stage.ran if line.startswith("/usr/bin/mysql")
    ]
    assert asked == [
        (None, "/usr/bin/mysql --batch --connect-timeout=5"),
        ("root", "/usr/bin/mysql --defaults-file=/etc/mysql/debian.cnf --batch --connect-timeout=5"),
    ]


async def test_a_mysql_that_does_not_answer_is_asked_once(stage: Stage) -> None:
    gone = (1, "", "ERROR 2002 (HY000): Can't connect to local server through socket\n")
    stage.script = {"sh -c for p": "/usr/bin/mysql\n", "test -e": "", "/usr/bin/mysql": gone}
    found = await look("mysql", stage)
    assert "MySQL can't be reached: ERROR 2002" in missing(found)
    assert sum(line.startswith("/usr/bin/mysql") for _, line in stage.ran) == 1


REPLICA = """*************************** 1. row ***************************
                   Slave_IO_State: Waiting for master to send event
                      Master_Host: db1
                 Slave_IO_Running: Yes
                Slave_SQL_Running: No
                   Last_SQL_Error: Error 'Duplicate entry' on query
            Seconds_Behind_Master: NULL
"""


async def test_a_replica_that_has_stopped(stage: Stage) -> None:
    from edxconsole.inspect.reads import STATEMENTS

    results = "EDXCONSOLE\tstatus\nEDXCONSOLE\tstatus\nVariable_name\tValue\nThreads_connected\t90\n"
    results += "EDXCONSOLE\tsettings\nEDXCONSOLE\tsettings\nVariable_name\tValue\nmax_connections\t100\n"
    mysql = "/usr/bin/mysql --batch --connect-timeout=5"
    stage.script = {
        "sh -c for p": "/usr/bin/mysql\n",
        "test -e": (1, "", ""),
        f"{mysql} -e {STATEMENTS}": results,
        f"{mysql} --vertical -e SHOW SLAVE STATUS": (1, "", "ERROR 1064 (42000): You have an error\n"),
        f"{mysql} --vertical -e SHOW REPLICA STATUS": REPLICA,
    }
    found = await look("mysql", stage)
    assert found.section("connections").fact("headroom") == 10
    assert findings(found) == [
        (State.DEGRADED, '90 of 100 connections are used; the next ones get "Too many connections"'),
        (State.DOWN, "replication from db1 has stopped; Error 'Duplicate entry' on query"),
    ]


async def test_rabbitmq_without_sudo_and_without_a_readable_configuration(stage: Stage) -> None:
    stage.script = {"sh -c for p": "/usr/sbin/rabbitmqctl\n", "sh -c": (77, "", "")}
    found = await look("rabbitmq", stage, sudo=False)
    assert "rabbitmqctl: /usr/sbin/rabbitmqctl needs the rights of root" in missing(found)
    assert "management API: no user for it can be read" in missing(found)


async def test_an_old_rabbitmq_is_asked_in_its_own_words(stage: Stage) -> None:
    from tests.unit.inspect.test_parsers import STATUS_36

    ctl = "/usr/sbin/rabbitmqctl"
    stage.script = {
        "sh -c for p": f"{ctl}\n",
        f"{ctl} status --formatter": (64, "", "Error: invalid option\n"),
        f"{ctl} -q status": STATUS_36.partition("...\n")[2],
        f"{ctl} -q list_vhosts": "/\n",
        f"{ctl} -q list_queues -p /": "edx.lms.core.default\t12\t0\t0\t9000\trunning\n",
        f"{ctl} -q list_connections": "celery\t192.0.2.4\trunning\ncelery\t192.0.2.4\trunning\n",
    }
    found = await look("rabbitmq", stage)
    assert found.section("node").fact("version") == "3.6.9"
    assert findings(found) == [
        (State.DOWN, "alarm: disk; publishers are blocked until it is over"),
        (State.DEGRADED, "12 messages wait in edx.lms.core.default and nobody takes them"),
    ]
    (row,) = found.section("connections").table("by_peer").rows
    assert (row["user"], row["peer"], row["connections"]) == ("celery", "192.0.2.4", 2)
    assert {become for become, line in stage.ran if line.startswith(ctl)} == {"root"}
