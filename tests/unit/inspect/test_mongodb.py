"""MongoDB: pymongo and the old protocol against a stand-in, what is missing without a login, and nonsense."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edxconsole.cluster.model import State
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.mongodb import hosts_of
from edxconsole.inspect.mongodb_client import Login
from edxconsole.inspect.mongodb_interview import Refused, Told, interview, members_of
from edxconsole.inspect.mongodb_old import scram_sha_1
from edxconsole.inspect.report import Report
from tests.support.mongod import StandIn, member
from tests.unit.inspect.stage import CATALOG, Serve, Stage, listener, look, served, snapshot

OLD, NEW = 4, 21
PASSWORD = "hunter2,=/@"
MEMBERS = [
    member("data1:27017", "PRIMARY", 0, self=True),
    member("data2:27017", "SECONDARY", 95),
    member(
        "data3:27017", "(not reachable/healthy)", 0, health=0.0, lastHeartbeatMessage="Connection refused"
    ),
]


async def of(
    stage: Stage,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    path: Path | None = None,
    store: Mapping[str, object] | None = None,
) -> Inspection:
    """An inspection of what listens, with this DOC_STORE_CONFIG on its host."""
    if path is not None:
        await asyncio.to_thread(path.write_text, json.dumps({"DOC_STORE_CONFIG": store}))
    monkeypatch.setattr("edxconsole.inspect.app_settings.EDXAPP", ((str(path or "/none"),),))
    async with served(serve) as port:
        spec = CATALOG.components["mongodb"].health[0].model_copy(update={"port": port})
        known = CATALOG.components["mongodb"].model_copy(update={"health": (spec,)})
        monkeypatch.setitem(CATALOG.components, "mongodb", known)
        return await look("mongodb", stage, snapshot("mongodb", [], [listener(port, "mongodb")]))


def texts(found: Inspection) -> list[str]:
    return [f.text for f in found.findings]


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_a_server_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch, wire: int) -> None:
    """By OP_QUERY to one of 3.2, by pymongo to one of 7.0: the same comes of it."""
    server = StandIn(wire=wire)
    found = await of(stage, server.serve, monkeypatch)
    assert (found.missing, found.findings) == ((), ())
    part = found.section("server")
    assert part.fact("version") == ("3.2-stand-in" if wire == OLD else "7.0-stand-in")
    assert (part.fact("pid"), part.fact("uptime_seconds"), part.fact("takes_writes")) == (4242, 93600, True)
    assert part.fact("storage_engine") == "wiredTiger"
    connections = found.section("connections")
    assert (connections.fact("current"), connections.fact("limit")) == (60, 818)
    assert found.section("operations").fact("waiting") == 0
    assert found.section("memory").fact("resident_bytes") == 412 << 20
    rows = found.section("databases").table("databases").rows
    assert [(r["database"], r["collections"], r["system"]) for r in rows] == [
        ("cs_comments_service", 5, False),
        ("edxapp", 9, False),
        ("local", 7, True),
    ]
    assert rows[1]["data_bytes"] == 91234567
    assert found.section("replica_set").fact("name") == "none"


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_a_replica_set(stage: Stage, monkeypatch: pytest.MonkeyPatch, wire: int) -> None:
    server = StandIn(wire=wire, replica=MEMBERS, waiting=3)
    found = await of(stage, server.serve, monkeypatch)
    assert found.missing == ()
    part = found.section("replica_set")
    assert (part.fact("name"), part.fact("primary")) == ("edx", "data1:27017")
    assert part.fact("oplog_window_seconds") == 3 * 86400
    rows = part.table("members").rows
    assert [(r["member"], r["behind_seconds"], r["asked"], r["healthy"]) for r in rows] == [
        ("data1:27017", None, True, True),
        ("data2:27017", 95, False, True),
        ("data3:27017", None, False, False),
    ]
    assert texts(found) == [
        "3 operations wait for a lock",
        "data2:27017 is 95 s behind the primary",
        "data3:27017 is not reached by this member; Connection refused",
    ]


async def test_a_replica_set_without_a_primary(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandIn(replica=[member("data1:27017", "SECONDARY", 0, self=True)])
    found = await of(stage, server.serve, monkeypatch)
    (finding,) = found.findings
    assert (finding.state, finding.text) == (
        State.DOWN,
        "the replica set edx has no primary: nothing can be written",
    )
    assert found.section("server").fact("takes_writes") is False


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_with_the_user_of_the_configuration(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: int
) -> None:
    server = StandIn(wire=wire, users={"edxapp": PASSWORD}, replica=MEMBERS[:1])
    store = {"host": ["localhost"], "db": "edxapp", "user": "edxapp", "password": PASSWORD}
    found = await of(stage, server.serve, monkeypatch, tmp_path / "lms.yml", store)
    assert found.missing == ()
    assert len(found.section("databases").table("databases").rows) == 3
    assert ("edxapp", "saslstart") in server.asked
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_a_user_that_is_not_accepted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: int
) -> None:
    server = StandIn(wire=wire, users={"edxapp": "another"})
    store = {"host": "localhost", "db": "edxapp", "user": "edxapp", "password": PASSWORD}
    found = await of(stage, server.serve, monkeypatch, tmp_path / "lms.yml", store)
    assert found.missing[0].cause == "MongoDB does not accept the user of the configuration"
    assert "hunter2" not in repr(found)
    assert "stand-in" in str(found.section("server").fact("version"))


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_without_a_login_it_is_told_what_is_missing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, wire: int
) -> None:
    server = StandIn(wire=wire, users={"edxapp": PASSWORD}, replica=MEMBERS)
    found = await of(stage, server.serve, monkeypatch)
    (missing,) = found.missing
    assert missing.what == "server status, replica set, oplog, databases"
    assert missing.remedy == "no user for this MongoDB is named in a configuration on this host"
    assert found.section("replica_set").fact("primary") == "data1:27017"
    assert [s.name for s in found.sections] == ["server", "replica_set"]
    assert not [f for f in found.findings if f.state is State.DOWN]


async def test_a_user_without_the_role_names_the_role(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = StandIn(users={"edxapp": PASSWORD}, denied=frozenset({"serverstatus"}))
    store = {"host": "localhost", "db": "edxapp", "user": "edxapp", "password": PASSWORD}
    found = await of(stage, server.serve, monkeypatch, tmp_path / "lms.yml", store)
    (missing,) = found.missing
    assert (missing.what, "clusterMonitor" in missing.remedy) == ("server status", True)
    assert len(found.section("databases").table("databases").rows) == 3


async def test_a_password_is_not_sent_to_another_server(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = StandIn(users={"edxapp": PASSWORD})
    store = {"host": "elsewhere.example.org", "db": "edxapp", "user": "edxapp", "password": PASSWORD}
    await of(stage, server.serve, monkeypatch, tmp_path / "lms.yml", store)
    assert not [name for _, name in server.asked if name.startswith("sasl")]


def test_hosts_of_a_configuration() -> None:
    assert hosts_of({"host": "a,b:27018"}) == {"a", "b"}
    assert hosts_of({"host": ["a:27017", 3]}) == {"a"}
    assert hosts_of({}) == {"localhost"}


HELLO = {"ismaster": True, "maxWireVersion": NEW, "minWireVersion": 0, "ok": 1.0}


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 200 OK\r\n" * 4096)
        await writer.drain()


def then(what: bytes | None, wire: int) -> Serve:
    """A hello as it should be, then something else for ever; None: silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size, number, _, _ = struct.unpack("<iiii", await reader.readexactly(16))
        await reader.readexactly(size - 16)
        body = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode({**HELLO, "maxWireVersion": wire})
        writer.write(struct.pack("<iiii", 16 + len(body), 1, number, 1) + body)
        while what is not None:
            writer.write(what)
            await writer.drain()
        await reader.read()

    return serve


@pytest.mark.parametrize("serve", [endless, then(b"\xff" * 65536, OLD), then(b"\xff" * 65536, NEW)])
async def test_what_is_no_mongodb_is_one_sentence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, serve: Serve
) -> None:
    found = await of(stage, serve, monkeypatch)
    (missing,) = found.missing
    assert missing.what == "MongoDB"
    assert found.sections == ()


@pytest.mark.parametrize("wire", [OLD, NEW])
async def test_a_server_that_falls_silent_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, wire: int
) -> None:
    monkeypatch.setattr("edxconsole.inspect.mongodb.TIMEOUT", 3.0)
    found = await of(stage, then(None, wire), monkeypatch)
    (missing,) = found.missing
    assert "gave no answer within 3 s" in missing.cause


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.datetimes()
VALUE = LEAF | st.lists(LEAF, max_size=3)
KEYS = st.sampled_from(
    [
        "databases",
        "name",
        "members",
        "connections",
        "cursor",
        "setName",
        "optimeDate",
        "stateStr",
        "mem",
        "ok",
    ]
)
ROW = st.dictionaries(KEYS, VALUE, max_size=4)
DOCUMENT = st.dictionaries(KEYS, VALUE | ROW | st.lists(ROW, max_size=3), max_size=5)


@settings(max_examples=50)
@given(st.lists(DOCUMENT | st.builds(Refused, st.text(), st.none() | st.integers()), min_size=1, max_size=4))
def test_any_answers_are_taken(answers: list[Any]) -> None:
    from edxconsole.inspect.mongodb import _fill

    questions = interview()
    next(questions)
    told: Told | None = None
    for turn in range(80):
        try:
            questions.send(answers[turn % len(answers)])
        except StopIteration as end:
            told = end.value
            break
    assert told is not None, "it asks a bounded number of questions"
    _fill(Report(), told, "x", login=True)
    members_of(told.replica)


@given(st.text(max_size=200) | st.from_regex(r"r=abc[a-z]*,s=[A-Za-z0-9+/=]{0,20},i=\d{0,8}"))
def test_any_challenge_of_a_login_is_answered_or_refused(challenge: str) -> None:
    try:
        proof, expected = scram_sha_1(Login("u", "p"), "n=u,r=abc", challenge, "abc")
    except NotUnderstood:
        return
    assert proof.startswith(b"c=biws,r=abc")
    assert expected.startswith(b"v=")
