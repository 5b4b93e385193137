"""What containers print, followed at a stand-in for dockerd: what answers badly is said in its own log."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edxconsole.cluster.model import HostSnapshot, Link, Process
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.logs import containers
from edxconsole.logs.containers import ContainerFollower
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from edxconsole.services import docker_client
from tests.unit.services.docker_standin import (
    STREAMS,
    Bad,
    Standin,
    endless,
    says,
    silent,
    streamed,
    whole,
)
from tests.unit.services.here import Here
from tests.unit.services.waiting import eventually

LMS = "docker:tutor_local:lms"


class Port:
    """What a host session lends: a dockerd among the processes, and one container."""

    def __init__(self, here: Here, standin: Standin) -> None:
        self.name = "here"
        self.transport = here
        argv = ("dockerd", "-H", f"unix://{standin.socket.path}")
        dockerd = Process(
            pid=9, start=1, started_at=0.0, ppid=1, uid=0, user="root", comm="dockerd", argv=argv, state="S",
            cpu=0.0, rss=0, threads=1,
        )  # fmt: skip
        run = Identity(7, 1, standin.ident("lms"))
        lms = Unit("docker", "tutor_local:lms", "running", UnitHealth.RUNNING, run)
        self.snapshot = HostSnapshot(
            "here", 1, Link.LIVE, "", 0.0, processes={9: dockerd}, units={"docker/tutor_local:lms": lms}
        )
        self.notes: dict[str, str | None] = {}

    def to_console(self, host_time: float) -> float:
        return host_time + 100.0

    def report_note(self, source: str, text: str | None) -> None:
        self.notes[source] = text


@pytest.fixture
def port(here: Here, standin: Standin) -> Port:
    return Port(here, standin)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "TICK", 0.02)
    monkeypatch.setattr(containers, "RETRY", (0.02, 0.05))
    monkeypatch.setattr(docker_client, "TIMEOUT", 0.3)


class Got:
    """Everything that came."""

    def __init__(self, follower: ContainerFollower, feed: LogFeed) -> None:
        self.follower = follower
        self._feed = feed
        self._all: list[LogBatch] = []

    def all(self) -> list[LogBatch]:
        self._all += self._feed.drain()
        return self._all

    @property
    def text(self) -> str:
        return "".join(batch.data for batch in self.all())

    @property
    def marks(self) -> list[str]:
        return [batch.mark for batch in self.all() if batch.mark]

    async def until(self, true: Callable[[Got], bool]) -> None:
        async def holds() -> bool:
            return true(self)

        await eventually(holds, 20)


@asynccontextmanager
async def followed(port: Port, path: str = LMS, last: int = 10) -> AsyncIterator[Got]:
    feed = LogFeed()
    follower = ContainerFollower([LogSource("here", path)], feed, last)
    running = asyncio.create_task(follower.run(port))  # type: ignore[arg-type]
    try:
        yield Got(follower, feed)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_lines_come_with_their_times_and_never_twice(standin: Standin, port: Port) -> None:
    """The stand-in ends each stream and answers the next with all of it again."""
    async with followed(port) as got:
        await got.until(lambda g: len([a for a in standin.asked if "/logs" in a]) >= 4)
        assert sorted(got.text.splitlines()) == ["one", "two"]
        (batch,) = [b for b in got.all() if b.data]
        assert len(batch.times) == 2
        assert batch.at == batch.times[-1]
        assert got.marks == ["start"]
    asked = [a for a in standin.asked if "/logs" in a]
    assert "follow=1&tail=10" in asked[0]
    assert "tail=all&since=17954" in asked[1]


async def test_none_of_the_last_lines_is_wanted(standin: Standin, port: Port) -> None:
    async with followed(port, last=0) as got:
        await got.until(lambda g: g.marks == ["start"])
        await got.until(lambda g: len([a for a in standin.asked if "/logs" in a]) >= 3)
        assert got.text == "", "what was there is not shown"
    assert "follow=0&tail=1" in next(a for a in standin.asked if "/logs" in a)


@pytest.mark.parametrize(
    ("bad", "mark", "said"),
    [
        (
            says(whole(b'{"message":"configured logging driver does not support reading"}', "501 Not")),
            "denied",
            "its logging driver keeps nothing that could be read (Docker says: configured logging driver",
        ),
        (silent, "denied", "no answer within 0.3 s; see whether dockerd is stuck"),
        (endless, "disconnected", "Docker's stream is not made of frames"),
        (says(whole(b"forbidden", "403 Forbidden")), "denied", "Docker says: HTTP status 403"),
    ],
)
async def test_what_cannot_be_read_is_said_once(
    standin: Standin, port: Port, bad: Bad, mark: str, said: str
) -> None:
    standin.bad[f"/containers/{standin.ident('lms')}/logs"] = bad
    async with followed(port) as got:
        await got.until(lambda g: any(b.why for b in g.all()))
        await asyncio.sleep(0.3)
        (told,) = {b.why for b in got.all() if b.why}
        assert said in told
        assert len(told) < 300
        assert mark in got.marks


async def test_without_docker_and_without_a_container(port: Port, standin: Standin) -> None:
    async with followed(port, "docker:tutor_local:nosuch") as got:
        await got.until(lambda g: g.marks == ["missing"])
        assert [b.why for b in got.all()] == [containers.NO_CONTAINER]
    port.snapshot = replace(port.snapshot, processes={})
    async with followed(port) as got:
        await got.until(lambda g: g.marks == ["missing"])
        assert [b.why for b in got.all()] == [containers.NO_DOCKER]


async def test_another_container_in_its_place_is_read_from_its_beginning(
    port: Port, standin: Standin
) -> None:
    async with followed(port) as got:
        await got.until(lambda g: g.text.count("\n") == 2)
        cms = Identity(8, 2, standin.ident("cms"))
        old = port.snapshot.units["docker/tutor_local:lms"]
        port.snapshot = replace(port.snapshot, units={"docker/tutor_local:lms": replace(old, identity=cms)})
        await got.until(lambda g: g.text.count("\n") == 4)
        assert "rotated" in got.marks


async def test_a_log_that_lost_its_lines_meanwhile_has_a_gap(port: Port, standin: Standin) -> None:
    async with followed(port) as got:
        await got.until(lambda g: g.text.count("\n") == 2)
        frames = b64decode(STREAMS["logs"]).replace(b"2026-11-23T08", b"2026-11-23T09")
        standin.bad[f"/containers/{standin.ident('lms')}/logs"] = says(streamed(frames))
        await got.until(lambda g: g.text.count("\n") == 4)
        assert got.marks.count("gap") == 1
        assert containers.GONE in [b.why for b in got.all()]


async def test_the_end_of_a_container_is_said_and_not_asked_for_again(port: Port, standin: Standin) -> None:
    ident = standin.ident("lms")
    standin.inspect[ident]["State"] |= {"Status": "exited", "ExitCode": 3, "Pid": 0}
    old = port.snapshot.units["docker/tutor_local:lms"]
    ended = replace(old, identity=Identity(invocation=ident))
    port.snapshot = replace(port.snapshot, units={"docker/tutor_local:lms": ended})
    async with followed(port) as got:
        await got.until(lambda g: "missing" in g.marks)
        await asyncio.sleep(0.3)
        assert [b.why for b in got.all() if b.why] == ["the container is exited (3)"]
    assert len([a for a in standin.asked if "/logs" in a]) == 1


async def test_after_stop_nothing_comes(port: Port, standin: Standin) -> None:
    async with followed(port) as got:
        await got.until(lambda g: bool(g.text))
        got.follower.stop()
        before = len(got.all())
        standin.say(json.dumps({}).encode())
    assert len(got.all()) == before
