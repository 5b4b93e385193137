"""Celery's workers: what their configuration, their processes and their replies say, and as nothing should.

Real workers at real brokers are inspected in tests/hosts/test_inspect_celery.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.celery import _is_ours, inspect_celery
from edxconsole.inspect.celery_broker import BrokerPlace, broker_of, of_url
from edxconsole.inspect.celery_replies import ACTIVE, SCHEDULED, Node, Task, age_of, read_replies
from edxconsole.inspect.celery_workers import find_workers, node_name
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.registry import INSPECTORS
from tests.unit.inspect.stage import Serve, Stage, look, process, served, snapshot

REPLIES = json.loads((Path(__file__).with_name("golden") / "celery-control-5.7.0.json").read_text())
REDIS = BrokerPlace("redis", "redis", 6379, "0")
EDXAPP: dict[str, object] = {
    "CELERY_BROKER_TRANSPORT": "amqp",
    "CELERY_BROKER_HOSTNAME": "data",
    "CELERY_BROKER_VHOST": "",
    "CELERY_BROKER_USER": "celery",
    "CELERY_BROKER_PASSWORD": "p@ss/w:rd",
}


def test_a_broker_by_edxapps_settings() -> None:
    place = broker_of(EDXAPP)
    assert place == BrokerPlace("amqp", "data", 5672, "/", "celery", "p@ss/w:rd")
    assert str(place) == "amqp at data:5672, vhost /"
    assert "p@ss" not in repr(place)
    assert place.login == "celery:p%40ss%2Fw%3Ard@"
    tutor = {
        "CELERY_BROKER_TRANSPORT": "redis",
        "CELERY_BROKER_HOSTNAME": "redis:6379",
        "CELERY_BROKER_VHOST": "0",
    }
    assert broker_of(tutor) == REDIS
    assert broker_of({"DATABASES": {}}) is None


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://redis:6379/0", REDIS),
        ("redis://:a%2Fb@h/2", BrokerPlace("redis", "h", 6379, "2", "", "a/b")),
        (
            "amqp://celery:celery@127.0.0.1:5672//",
            BrokerPlace("amqp", "127.0.0.1", 5672, "/", "celery", "celery"),
        ),
        ("amqp://u:p@h/edx?x=1;amqp://other//", BrokerPlace("amqp", "h", 5672, "edx", "u", "p")),
        ("redis://[::1]:6380/1", BrokerPlace("redis", "::1", 6380, "1")),
        ("amqp://", BrokerPlace("amqp", "localhost", 5672, "/")),
    ],
)
def test_a_broker_by_its_url(url: str, place: BrokerPlace) -> None:
    assert of_url(url) == place
    assert broker_of({"BROKER_URL": url}) == place


@pytest.mark.parametrize(
    "settings",
    [
        {"BROKER_URL": "rediss://:hunter2@h/0"},
        {"BROKER_URL": "hunter2"},
        {"BROKER_URL": "redis://:hunter2@h/x"},
        {"CELERY_BROKER_URL": "redis://:hunter2@h:99999/0"},
        {**EDXAPP, "CELERY_BROKER_USE_SSL": True},
        {**EDXAPP, "CELERY_BROKER_TRANSPORT": "sqs"},
        {**EDXAPP, "CELERY_BROKER_HOSTNAME": "a b"},
    ],
)
def test_a_broker_that_is_not_asked_is_told_without_its_secrets(settings: dict[str, object]) -> None:
    with pytest.raises(NotUnderstood) as told:
        broker_of(settings)
    assert "hunter2" not in str(told.value)


TREE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(["BROKER_URL", "CELERY_BROKER_USE_SSL", *EDXAPP])


@given(st.dictionaries(KEYS, TREE | st.from_regex(r"(redis|amqp|[a-z]*)://.*")))
def test_any_settings_give_a_broker_or_our_error(settings: dict[str, object]) -> None:
    try:
        place = broker_of(settings)
    except NotUnderstood:
        return
    assert place is None or 0 < place.port < 65536


def test_replies_of_celery_5() -> None:
    """Recorded from Celery 5.7.0 at Redis 7.0."""
    nodes = read_replies(REPLIES)
    (node,) = nodes.values()
    assert (node.name, node.queues) == ("celery@q1.vm", ("q1",))
    assert (node.pid, node.concurrency, node.prefetch, node.total) == (20143, 1, 4, 1)
    assert (node.count("active"), node.count("reserved"), node.count("scheduled")) == (1, 4, 0)
    first = node.tasks[0]
    assert (first.name, first.queue, first.pid) == ("slow", "q1", 20176)
    assert age_of(first, 1795419913.68 + 90, None) == 90
    assert age_of(node.tasks[1], 1795419913.68 + 90, None) is None
    assert "secret@x.org" not in repr(nodes)


def test_replies_of_celery_3() -> None:
    """`time_start` is monotonic time there (celery/worker/job.py of 3.1), and `active` has args as text."""
    said = {
        "id": "x", "name": "lms.tasks.grade", "args": "[1]", "kwargs": "{}", "type": "lms.tasks.grade",
        "hostname": "celery@a", "time_start": 5000.5, "acknowledged": True, "worker_pid": 9,
        "delivery_info": {"routing_key": "edx.lms.core.default", "exchange": "edx.lms.core"},
    }  # fmt: skip
    eta = {"eta": "2016-06-14T09:15:01", "priority": 6, "request": said}
    (node,) = read_replies({ACTIVE: [{"celery@a": [said]}], SCHEDULED: [{"celery@a": [eta]}]}).values()
    active, scheduled = node.tasks
    assert age_of(active, 1.8e9, 5060.0) == 60 - 0 == age_of(active, 1.8e9, 5060.5)
    assert age_of(active, 1.8e9, None) is None, "since which boot is not known"
    assert (scheduled.name, scheduled.eta) == ("lms.tasks.grade", "2016-06-14T09:15:01")
    assert node.count("reserved") is None, "it was not asked: unknown, not none"


@given(st.dictionaries(st.sampled_from(["active_queues", "active", "reserved", "scheduled", "stats"]), TREE))
def test_any_replies_are_read(replies: dict[str, Any]) -> None:
    for node in read_replies(replies).values():
        for task in node.tasks:
            assert isinstance(task, Task)
            age = age_of(task, 1.8e9, 100.0)
            assert age is None or age >= 0


def test_workers_of_other_components_at_the_same_broker_are_not_shown() -> None:
    names = ("edx.lms.core.default",)
    assert _is_ours(Node("a", ("edx.lms.core.default", "x")), names)
    assert not _is_ours(Node("b", ("ecommerce.default",)), names)
    assert _is_ours(Node("c", None), names), "it did not say: it may be one"


ODD = st.lists(
    st.dictionaries(st.text(max_size=5), st.lists(TREE, max_size=3) | TREE, max_size=3), max_size=3
)


@given(ODD, ODD)
def test_any_answers_of_nodes_are_read(active: list[Any], stats: list[Any]) -> None:
    read_replies({"active": active, "scheduled": active, "reserved": active, "stats": stats})


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("edx.lms.core.default.%h", "celery@edx.lms.core.default.app1.example.org"),
        ("", "celery@app1.example.org"),
        ("ecomworker.%n", "celery@ecomworker.app1"),
        ("w1@%d", "w1@example.org"),
        ("w%i", ""),
    ],
)
def test_node_names_as_celery_makes_them(name: str, node: str) -> None:
    assert node_name(name, "app1.example.org") == node
    assert node_name(name, "") == ""


WORKER = (
    "/v/bin/python /v/bin/celery --app=lms.celery:APP worker --queues=edx.lms.core.default,edx.lms.core.high"
)
WORKER += " --hostname=edx.lms.core.default.%h --concurrency=2"
OLD = "/v/bin/python /edx/app/edxapp/edx-platform/manage.py lms --settings=aws celery worker"
OLD += " -Q edx.lms.core.low -c 1"


def test_workers_of_their_processes() -> None:
    rows = [process(5, "/bin/sh worker.sh"), process(6, WORKER, ppid=5)]
    rows += [process(7, WORKER, ppid=6), process(8, WORKER, ppid=6), process(9, OLD)]
    new, old = find_workers(rows, "app1")
    assert (new.main.pid, new.pool, new.concurrency) == (6, 2, 2)
    assert new.queues == ("edx.lms.core.default", "edx.lms.core.high")
    assert new.node == "celery@edx.lms.core.default.app1"
    assert (old.main.pid, old.pool, old.concurrency, old.queues) == (9, 0, 1, ("edx.lms.core.low",))
    titled = process(
        3, "[celeryd: celery@q.app1:MainProcess] -active- (worker -Q edx.lms.core.high -n q.%h -c 3)"
    )
    (found,) = find_workers([titled], "app1")
    assert (found.queues, found.concurrency, found.node) == (("edx.lms.core.high",), 3, "celery@q.app1")


@given(st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=8), max_size=4), st.text(max_size=10))
def test_any_process_is_taken(lines: list[list[str]], hostname: str) -> None:
    rows = [process(n, "x") for n in range(len(lines))]
    for row, line in zip(rows, lines, strict=True):
        object.__setattr__(row, "argv", ("celery", "worker", *line))
    find_workers(rows, hostname)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(os.urandom(65536))
        await writer.drain()


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>")
    await writer.drain()


async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up at once."""


async def frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """AMQP's frames with nothing sensible in them."""
    await reader.read(8)
    writer.write(b"\x01\x00\x00\x00\x00\x00\x08\xff\xff\xff\xffabcd\xce" * 20)
    await writer.drain()
    await reader.read()


async def of_worker(
    stage: Stage, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch, path: Path
) -> Inspection:
    await asyncio.to_thread(path.write_text, json.dumps(settings))
    monkeypatch.setattr("edxconsole.inspect.app_settings.EDXAPP", ((str(path),),))
    monkeypatch.setitem(INSPECTORS, "edxapp_worker", inspect_celery)
    return await look(
        "edxapp_worker", stage, snapshot("edxapp_worker", [process(6, WORKER)], hostname="app1")
    )


@pytest.mark.parametrize("serve", [endless, web, gone, frames])
@pytest.mark.parametrize("transport", ["redis", "amqp"])
async def test_a_broker_that_speaks_nonsense_is_one_sentence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve, transport: str
) -> None:
    async with served(serve) as port:
        settings = {
            **EDXAPP,
            "CELERY_BROKER_TRANSPORT": transport,
            "CELERY_BROKER_HOSTNAME": f"127.0.0.1:{port}",
        }
        found = await of_worker(stage, settings, monkeypatch, tmp_path / "lms.yml")
    (missing,) = found.missing
    assert f"127.0.0.1:{port}" in missing.cause
    assert "p@ss" not in repr(found)
    assert found.section("workers").fact("workers") == 1
    (row,) = found.section("queues").table("queues").rows[:1]
    assert (row["waiting"], row["consumers"]) == (None, None), "unknown is no number"


async def polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Redis that says OK to everything, and hangs up when it is to pass a question on."""
    while data := await reader.read(65536):
        if b"PUBLISH" in data:
            return
        numbers = (b"LLEN", b"HLEN", b"SADD", b"SREM", b"DEL", b"ZADD")
        for word in data.split(b"*")[1:]:
            writer.write(b":0\r\n" if any(n in word for n in numbers) else b"+OK\r\n")
        await writer.drain()


async def test_a_broker_that_breaks_off_is_not_asked_again_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with served(polite) as port:
        settings: dict[str, object] = {
            "CELERY_BROKER_TRANSPORT": "redis",
            "CELERY_BROKER_HOSTNAME": f"127.0.0.1:{port}",
        }
        found = await of_worker(stage, settings, monkeypatch, tmp_path / "lms.yml")
    (missing,) = found.missing
    assert missing.what == f"workers at 127.0.0.1:{port}"
    assert "within" not in missing.cause, "it ended by itself, not by our deadline"
    assert found.section("queues").table("queues").rows[0]["waiting"] == 0


async def test_a_broker_that_accepts_and_says_nothing_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edxconsole.inspect.celery.CONTROL_TIMEOUT", 0.5)
    async with served(silent) as port:
        settings = {**EDXAPP, "CELERY_BROKER_HOSTNAME": f"127.0.0.1:{port}"}
        found = await of_worker(stage, settings, monkeypatch, tmp_path / "lms.yml")
    (missing,) = found.missing
    assert missing.cause == f"127.0.0.1:{port} gave no answer within 0.5 s"


async def test_without_any_settings_it_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = await of_worker(stage, {"A": 1}, monkeypatch, tmp_path / "lms.yml")
    (missing,) = found.missing
    assert missing.what == "broker"
    assert missing.cause.startswith("no broker of the workers is named in ")
