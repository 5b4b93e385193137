"""Endpoints as bad as they come, on real sockets: bounded, timed out, told in one sentence."""

from __future__ import annotations

import asyncio

import pytest

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.model import State
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.health import checks
from tests.unit.health.serving import Serve, ask, ask_spec, for_ever, http, says, snapshot

LIMIT = 20.0
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("kind", "serve"),
    [
        ("http", for_ever(OK + b"\r\n", b"x" * 1000)),
        ("http", for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n")),
        ("http", for_ever(OK + b"Content-Length: 99999999\r\n\r\n", b'{"sql": ')),
        ("http", for_ever(OK, b"X-More: and more\r\n")),
        ("elasticsearch", for_ever(OK + b"\r\n", b" " * 1000)),
        ("memcached", for_ever(b"", b"STAT again and again\r\n")),
        ("redis", for_ever(b"", b"+PONGPONG")),
        ("redis-queues", for_ever(b"", b"$999999999\r\nabc")),
        ("mongodb", for_ever(b"", b"\x15\0\0\0")),
    ],
)
async def test_a_stream_without_an_end_is_cut_and_is_not_well(kind: str, serve: Serve) -> None:
    async with asyncio.timeout(LIMIT):
        found = await ask(kind, serve, path="/heartbeat", level="L3")
    assert found.state is State.DEGRADED
    assert found.text.isprintable()
    assert len(found.text) < 400


async def test_a_page_of_any_length_is_well_where_only_its_status_counts() -> None:
    found = await ask("http", http(200, "<p>" * 10_000))
    assert found.state is State.UP


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://elsewhere.example/heartbeat", "another host, https://elsewhere.example/heartbeat"),
        ("https://u:hunter2@elsewhere.example/", "another host, https://***@elsewhere.example/"),
        ("/login?next=/heartbeat", "/login?next=/heartbeat"),
        ("//[bad", "//[bad"),
        ("", "nowhere"),
    ],
)
async def test_a_redirect_is_told_and_never_followed(location: str, said: str) -> None:
    found = await ask("http", http(302, head=f"Location: {location}\r\n"), path="/heartbeat")
    assert found.state is State.DEGRADED
    assert found.text == f"check: /heartbeat answers 302 and sends on to {said}, which was not followed"


async def test_what_redirects_to_another_host_is_asked_once_and_the_other_never() -> None:
    asked: list[str] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append("other")
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await ask("http", http(301, head=f"Location: http://127.0.0.1:{port}/heartbeat\r\n"))
    server.close()
    await server.wait_closed()
    assert found.state is State.DEGRADED
    assert not asked


async def test_a_host_that_django_does_not_accept_is_told() -> None:
    found = await ask("http", http(400, "<h1>Bad Request (400)</h1>"), path="/heartbeat", host_header="lms")
    assert found.state is State.DEGRADED
    assert "it may not accept the Host lms (ALLOWED_HOSTS)" in found.text


async def test_a_heartbeat_that_is_no_page_of_health_is_not_well() -> None:
    found = await ask("http", http(200, "<h1>Down for maintenance"), path="/heartbeat", level="L3")
    assert found.state is State.DEGRADED
    assert "/heartbeat answers 200, but with no page of health" in found.text


async def test_a_pass_that_proves_little_says_so() -> None:
    body = {"return_code": 0, "content": "OK"}
    found = await ask("http", http(200, body), path="/xqueue/status/", proves="it says OK always")
    assert found.state is State.UP
    assert found.text.endswith("; it says OK always")


@pytest.mark.parametrize(
    ("body", "state", "words"),
    [
        ({"status": "green", "number_of_nodes": 3}, State.UP, "green"),
        ({"status": "yellow", "number_of_nodes": 1}, State.UP, "normal for a single node"),
        ({"status": "yellow", "number_of_nodes": 3}, State.DEGRADED, "on one node only"),
        ({"status": "red", "number_of_nodes": 1}, State.DOWN, "can't be searched"),
        ({"status": "\x1b[31mpink"}, State.DEGRADED, "says pink"),
        ({"status": 1}, State.DEGRADED, "not as Elasticsearch"),
        (["green"], State.DEGRADED, "not as Elasticsearch"),
    ],
)
async def test_elasticsearch_by_its_colour(body: object, state: State, words: str) -> None:
    """A stand-in: no real Elasticsearch can be installed here."""
    found = await ask("elasticsearch", http(200, body), path="/_cluster/health")
    assert (found.state, words in found.text) == (state, True), found


async def test_what_accepts_and_never_answers_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other check is over while the silent one still waits."""
    monkeypatch.setattr(checks, "TIMEOUT", 3.0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    waiting = asyncio.create_task(ask("mysql", silent))
    found = await ask("redis", says(b"+PONG\r\n", b"\r\n"))
    assert found.state is State.UP
    assert not waiting.done()
    stuck = await waiting
    assert (stuck.state, "gave no answer within 3 s" in stuck.text) == (State.DOWN, True)


def container(address: str) -> Unit:
    return Unit("docker", "tutor_local:lms", "running", UnitHealth.RUNNING, address=address)


async def test_a_container_is_asked_where_docker_says_it_is() -> None:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        well = b"\r\nHost: lms\r\n" in head
        writer.write(OK + b'\r\n{"sql": true}' if well else b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.9", 0)
    port = server.sockets[0].getsockname()[1]
    spec = HealthSpec(name="heartbeat", kind="http", port=port, host_header="lms", level="L3")
    found = await ask_spec(spec, snapshot(), container("127.0.0.9"))
    assert (found.state, "sql true" in found.text) == (State.UP, True), found
    server.close()
    await server.wait_closed()
    found = await ask_spec(spec, snapshot(), container("127.0.0.9"))
    assert found.state is State.DOWN
    assert found.text == f"heartbeat: nothing listens on 127.0.0.9:{port}, inside its container"


async def test_a_container_that_can_not_be_reached_is_unknown_with_why() -> None:
    spec = HealthSpec(name="heartbeat", kind="http", port=8000)
    found = await ask_spec(spec, snapshot(), container(""))
    assert (found.state, "Docker names no address" in found.text) == (State.UNKNOWN, True)
    found = await ask_spec(spec, snapshot(), container("255.255.255.255"))
    assert (found.state, "can't be asked from its host" in found.text) == (State.UNKNOWN, True)
