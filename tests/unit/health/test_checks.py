"""Checks against sockets that answer as the services do, and as nothing should."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import State
from edxconsole.health import checks
from edxconsole.health.bson import read_document
from edxconsole.health.checks import run_check
from edxconsole.health.endpoints import endpoint_for
from edxconsole.inventory.model import Host
from edxconsole.transport.base import TcpEndpoint
from edxconsole.transport.local_transport import LocalTransport
from tests.unit.health.serving import Serve, ask, http, says, snapshot

HEARTBEAT = {"modulestore": {"status": True, "message": "OK"}, "sql": {"status": True, "message": "OK"}}


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_good_heartbeat_is_up(chunked: bool) -> None:
    found = await ask("http", http(200, HEARTBEAT, chunked=chunked), path="/heartbeat")
    assert found.state is State.UP
    assert found.text.startswith("check: /heartbeat answers 200, modulestore, sql true (")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (HEARTBEAT | {"sql": {"status": False, "message": "gone"}}, "sql"),
        ({"split": True, "SQL": False}, "SQL"),
        ({"split": True, "SQL": '(2003, "Can\'t connect")'}, "SQL"),
        ({"OK": False, "check": "es"}, "es"),
        (
            {"overall_status": "UNAVAILABLE", "detailed_status": {"database_status": "UNAVAILABLE"}},
            "database",
        ),
    ],
)
async def test_a_bad_heartbeat_says_which_part(body: object, part: str) -> None:
    found = await ask("http", http(503, body), path="/heartbeat")
    assert found.state is State.DEGRADED
    assert found.text.startswith(f"check: /heartbeat answers 503: {part} false: its ")
    assert "; look at " in found.text


async def test_an_unexpected_status_is_degraded() -> None:
    found = await ask("http", http(500, "<h1>no"))
    assert (found.state, found.text.split(";")[0]) == (State.DEGRADED, "check: / answers 500 instead of 200")


async def test_the_host_header_is_sent() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")

    assert (await ask("http", serve, host_header="lms.example")).state is State.UP
    assert b"\r\nHost: lms.example\r\n" in seen[0]


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_nginx_is_up_though_what_is_behind_it_is_not(status: int) -> None:
    found = await ask("nginx", http(status))
    assert found.state is State.UP
    assert f"does not ({status})" in found.text


@pytest.mark.parametrize(
    ("kind", "answer", "state", "words"),
    [
        ("memcached", b"STAT version 1.6.18\r\nEND\r\n", State.UP, "memcached 1.6.18 answers"),
        ("memcached", b"ERROR\r\n", State.DEGRADED, "answers `ERROR`"),
        ("redis", b"+PONG\r\n", State.UP, "PONG"),
        ("redis", b"-NOAUTH Authentication required.\r\n", State.UP, "password"),
        ("redis", b"-LOADING Redis is loading the dataset in memory\r\n", State.DEGRADED, "loading"),
    ],
)
async def test_caches(kind: str, answer: bytes, state: State, words: str) -> None:
    found = await ask(kind, says(answer, b"\r\n"))
    assert found.state is state
    assert words in found.text


def mysql(body: bytes) -> Serve:
    return says(len(body).to_bytes(3, "little") + b"\0" + body)


async def test_mysql_greets_or_refuses() -> None:
    found = await ask("mysql", mysql(b"\x0a5.5.5-10.11.19-MariaDB\0" + b"x" * 60))
    assert (found.state, "greets as 10.11.19-MariaDB" in found.text) == (State.UP, True)
    found = await ask("mysql", mysql(b"\xff" + (1040).to_bytes(2, "little") + b"Too many connections"))
    assert (found.state, "Too many connections (1040)" in found.text) == (State.DEGRADED, True)


async def test_amqp_greets_with_its_product() -> None:
    properties = b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x066.6.66"
    body = (
        struct.pack(">HHBBI", 10, 10, 0, 9, len(properties)) + properties + b"\0\0\0\x05PLAIN\0\0\0\x05en_US"
    )
    frame = struct.pack(">BHI", 1, 0, len(body)) + body + b"\xce"
    found = await ask("amqp", says(frame, b"\x00\x00\x09\x01"))
    assert (found.state, "greets as RabbitMQ 6.6.66" in found.text) == (State.UP, True)
    found = await ask("amqp", says(b"AMQP\0\1\0\0", b"\x00\x00\x09\x01"))
    assert (found.state, "wants AMQP 1-0-0" in found.text) == (State.DEGRADED, True)


def bson(**values: float | bool | str | bytes) -> bytes:
    """Bytes are a document in it."""
    parts = b""
    for name, value in values.items():
        key = name.encode() + b"\0"
        if isinstance(value, bool):
            parts += b"\x08" + key + bytes([value])
        elif isinstance(value, bytes):
            parts += b"\x03" + key + value
        elif isinstance(value, str):
            parts += b"\x02" + key + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
        else:
            parts += b"\x01" + key + struct.pack("<d", value)
    return struct.pack("<i", len(parts) + 5) + parts + b"\0"


def mongod(*documents: bytes, modern: bool = True) -> Serve:
    """A stand-in (no real one can be installed here): isMaster by OP_QUERY, then whatever came by its kind.

    Not `modern`: it hangs up on OP_MSG, as MongoDB before 3.6 does.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for document in documents:
            length, ident, _, op = struct.unpack("<iiii", await reader.readexactly(16))
            await reader.readexactly(length - 16)
            if op == 2013 and not modern:
                return
            before = struct.pack("<iB", 0, 0) if op == 2013 else struct.pack("<iqii", 8, 0, 0, 1)
            body = before + document
            writer.write(struct.pack("<iiii", 16 + len(body), 1, ident, 2013 if op == 2013 else 1) + body)

    return serve


@pytest.mark.parametrize(
    ("document", "state", "words"),
    [
        (bson(isWritablePrimary=True, ok=1.0), State.UP, "takes writes"),
        (bson(secondary=True, setName="rs0", ok=1.0), State.UP, "secondary of rs0"),
        (bson(secondary=False, ok=1.0), State.DEGRADED, "takes no writes"),
        (bson(errmsg="not now", ok=0.0), State.DEGRADED, "not now"),
    ],
)
async def test_mongodb_says_what_it_is(document: bytes, state: State, words: str) -> None:
    for modern in (True, False):
        found = await ask("mongodb", mongod(document, modern=modern))
        assert found.state is state
        assert words in found.text


def status(queued: float = 0, current: float = 10, left: float = 90) -> bytes:
    lock = bson(currentQueue=bson(total=float(queued), readers=0.0))
    connections = bson(current=float(current), available=float(left))
    return bson(host="data", globalLock=lock, connections=connections, ok=1.0)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (status(), State.UP, "nobody waits long"),
        (status(queued=25), State.DEGRADED, "over 20 operations wait for a lock"),
        (status(current=95, left=5), State.DEGRADED, "95 of 100 connections are used"),
        (
            bson(code=13.0, errmsg="command serverStatus requires authentication", ok=0.0),
            State.UNKNOWN,
            "login",
        ),
        (bson(errmsg="not authorized on admin to execute", ok=0.0), State.UNKNOWN, "login"),
        (bson(ok=1.0), State.UNKNOWN, "does not say"),
    ],
)
@pytest.mark.parametrize("modern", [True, False])
async def test_mongodb_says_who_waits(answer: bytes, state: State, words: str, modern: bool) -> None:
    hello = bson(ismaster=True, maxWireVersion=17.0 if modern else 4.0, ok=1.0)
    found = await ask("mongodb-status", mongod(hello, answer, modern=modern))
    assert (found.state, words in found.text) == (state, True), found


@pytest.mark.parametrize("kind", sorted(checks._CHECKS.keys() - {"tcp"}))
@pytest.mark.parametrize(
    "noise", [b"", b"\x00" * 100, b"\xff" * 9000, b"HTTP/1.1\r\n\r\n", b"\x1b]52;c;x\x07\r\n\r\n"]
)
async def test_noise_is_never_up_and_never_an_error(kind: str, noise: bytes, monkeypatch: Any) -> None:
    monkeypatch.setattr(checks, "TIMEOUT", 0.5)
    found = await ask(kind, says(noise))
    assert found.state in (State.DEGRADED, State.DOWN)
    assert found.text.isprintable()


async def test_silence_is_down_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TIMEOUT", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    found = await ask("redis", serve)
    assert (found.state, "gave no answer" in found.text) == (State.DOWN, True)


@pytest.mark.parametrize(("listening", "state"), [(True, State.UNKNOWN), (False, State.DOWN)])
async def test_a_refusal_is_down_only_where_nothing_listens(listening: bool, state: State) -> None:
    transport = LocalTransport(Host(name="h", transport="local"))
    await transport.connect()
    host = snapshot(1) if listening else snapshot()
    found = await run_check(
        transport, host, "x", Check("check", HealthSpec(name="check", kind="tcp", port=1))
    )
    assert found.state is state
    await transport.close()


@pytest.mark.parametrize(
    ("address", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "::1"), ("192.0.2.5", "192.0.2.5")],
)
def test_a_check_knocks_where_the_service_is_bound(address: str, asked: str) -> None:
    spec = HealthSpec(name="check", kind="tcp", port=80)
    assert endpoint_for(snapshot(80, address=address), "x", spec) == (TcpEndpoint(asked, 80), True)


def test_nginx_is_asked_on_a_plain_port_of_its_own() -> None:
    spec = HealthSpec(name="check", kind="nginx")
    assert endpoint_for(snapshot(443, 48000, 18010, 18000), "x", spec)[0] == TcpEndpoint("127.0.0.1", 18000)
    assert endpoint_for(snapshot(80, component="other"), "x", spec) == (None, False)


def nested(depth: int) -> bytes:
    return bson(a=nested(depth - 1)) if depth else bson(a=1.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05",
        b"\xff\xff\xff\x7f\x01a\0",
        bson(a=1.0)[:-4],
        b"\x09\0\0\0\x55a\0\0\0",
        b"\x20\0\0\0\x02a\0\xf5\xff\xff\xff" + bytes(20),
        nested(9),
    ],
)
def test_broken_bson_is_an_error_of_one_kind(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"BSON|found"):
        read_document(data)


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda d: b"\x40\0\0\0" + d))
def test_any_bytes_are_bson_or_a_value_error(data: bytes) -> None:
    try:
        found = read_document(data)
    except ValueError:
        return
    assert isinstance(found, dict)
