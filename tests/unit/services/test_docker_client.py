"""Docker's API by httpx over a stream; what answers badly is bounded, timed out and told in a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edxconsole.errors import PermissionMissing, ServiceFault, ServiceUnavailable, StreamRefused, UnitUnknown
from edxconsole.services import docker_client, host_http
from edxconsole.services.docker_client import DockerClient
from edxconsole.services.docker_units import Place
from edxconsole.transport.base import Endpoint, Stream, UnixEndpoint
from tests.unit.services.docker_standin import Bad, Standin, endless, says, silent, whole
from tests.unit.services.here import Here


@pytest.fixture
async def client(standin: Standin, here: Here) -> AsyncIterator[DockerClient]:
    made = DockerClient(here, standin.socket)
    yield made
    await made.close()


async def test_it_asks_what_docker_answers(standin: Standin, client: DockerClient) -> None:
    await client.ping()
    assert await client.version() == "20.10.24+dfsg1"
    found = await client.containers()
    assert len(found) == 9
    (lms,) = await client.containers(Place("tutor_local", "lms"))
    assert lms.id == standin.ident("lms")
    assert await client.container("0" * 64) is None
    assert await client.change(lms.id, "restart", 55, 5.0) is False
    assert standin.asked[-1] == f"POST /containers/{lms.id}/restart?t=55"
    assert client.route == f"unix:{standin.socket.path} (local)"


async def test_connections_are_kept(standin: Standin, client: DockerClient, here: Here) -> None:
    for _ in range(5):
        await client.ping()
    assert len(here.opened) == 1


GARBAGE = b"\x00\xff garbage without end " * 20
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (says(GARBAGE, close=True), "does not speak HTTP"),
        (says(b"", close=True), "the connection ended before the answer did"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", close=True), "as it should|ended before"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "does not speak HTTP"),
        (says(whole(b"<html>")), "an answer that its API does not give"),
        (says(whole(b'{"message": 1}')), "an answer that its API does not give"),
        (says(whole(DEEP)), "an answer that its API does not give"),
        (says(whole(b" " * 3_000_000)), "an answer of more than 2097152 bytes"),
        (endless, "an answer of more than 2097152 bytes"),
    ],
)
async def test_bad_answers_are_one_sentence(
    standin: Standin, client: DockerClient, bad: Bad, said: str
) -> None:
    standin.bad["/containers/json"] = bad
    with pytest.raises(ServiceUnavailable, match=said) as caught:
        await client.containers()
    assert str(caught.value).startswith("here: Docker at unix:")
    assert len(str(caught.value)) < 300
    standin.bad.clear()
    assert len(await client.containers()) == 9, "the next answer is not spoilt by it"


async def test_one_that_stalls_is_given_up(
    standin: Standin, client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_client, "TIMEOUT", 0.2)
    standin.bad["/"] = silent
    for asked in (client.ping(), client.version(), client.containers(), anext(client.events())):
        with pytest.raises(ServiceUnavailable, match=r"answer within 0\.2 s; see whether dockerd is stuck"):
            await asked


async def test_what_docker_refuses_is_said_in_its_words(standin: Standin, client: DockerClient) -> None:
    lms = standin.ident("lms")
    standin.bad[f"/containers/{lms}/stop"] = says(whole(b'{"message":"\\u001b[31mno"}', "409 Conflict"))
    with pytest.raises(ServiceFault, match="Docker says: no") as caught:
        await client.change(lms, "stop", None, 5.0)
    assert str(caught.value).isprintable()
    with pytest.raises(UnitUnknown):
        await client.change("0" * 64, "start", None, 5.0)
    standin.bad["/_ping"] = says(whole(b"denied", "403 Forbidden"))
    with pytest.raises(PermissionMissing, match="HTTP status 403"):
        await client.ping()


async def test_events_are_ids_and_nonsense_ends_them(
    standin: Standin, client: DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = client.events()
    assert await anext(events) is None
    standin.happen("lms", "die")
    assert await anext(events) == standin.ident("lms")
    standin.say(b'{"Type":"container","Actor":{"ID":"../../x"}}\n')
    with pytest.raises(ServiceUnavailable, match="its API does not give"):
        await anext(events)
    monkeypatch.setattr(host_http, "MAX_LINE", 1000)
    events = client.events()
    assert await anext(events) is None
    standin.say(b"x" * 2000)
    with pytest.raises(ServiceUnavailable, match="a line of more than 1000 bytes"):
        await anext(events)


async def test_events_that_end_are_an_error(standin: Standin, client: DockerClient) -> None:
    standin.bad["/events"] = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    events = client.events()
    assert await anext(events) is None
    with pytest.raises(ServiceUnavailable, match="it ended what should not end"):
        await anext(events)


class Denied(Here):
    """The login may not open the socket, and sudo is refused."""

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        raise StreamRefused(
            f"{endpoint} can't be opened: Permission denied",
            host=self.host_name,
            remedy="give ops rights on the socket, or add to sudoers there: ops ALL=(root) NOPASSWD: x",
        )


async def test_missing_rights_name_group_and_rule() -> None:
    client = DockerClient(Denied(), UnixEndpoint("/var/run/docker.sock", "root"))
    with pytest.raises(PermissionMissing) as caught:
        await client.ping()
    assert "Permission denied; usermod -aG docker " in str(caught.value)
    assert "NOPASSWD: x" in str(caught.value)


async def test_a_socket_that_is_not_there(here: Here, tmp_path: Path) -> None:
    client = DockerClient(here, UnixEndpoint(str(tmp_path / "none"), "root"))
    with pytest.raises(ServiceUnavailable, match="Docker can't be reached"):
        await client.ping()


async def test_two_calls_at_once_share_one_client(standin: Standin, client: DockerClient) -> None:
    await asyncio.gather(client.ping(), client.ping(), client.version())
    assert client._http is not None
    assert len(standin.asked) == 3
