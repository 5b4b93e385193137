"""Containers are watched by events; what Docker doesn't say any more is unknown, never green."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edxconsole.cluster.model import Evidence, HostSnapshot, Link, Process
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.services import docker_client, docker_watch
from edxconsole.services.docker_watch import DockerWatcher, docker_socket
from edxconsole.transport.base import Endpoint, Stream, UnixEndpoint
from tests.unit.services.docker_standin import Standin, silent
from tests.unit.services.here import Here
from tests.unit.services.waiting import eventually


def process(comm: str, *argv: str, pid: int = 100, uid: int = 0, contained: bool = False) -> Process:
    return Process(
        pid=pid, start=1, started_at=0.0, ppid=1, uid=uid, user="", comm=comm, argv=argv, state="S",
        cpu=0.0, rss=0, threads=1, contained=contained,
    )  # fmt: skip


def snapshot(*processes: Process) -> HostSnapshot:
    known = {p.pid: p for p in processes}
    return HostSnapshot("here", 1, Link.LIVE, "", 0.0, user="ops", processes=known)


class Port:
    """What a host session lends a watcher, kept for the test to look at."""

    def __init__(self, here: Here, socket: UnixEndpoint) -> None:
        self.name = "here"
        self.transport = here
        self.snapshot = snapshot(process("dockerd", "dockerd", "-H", f"unix://{socket.path}"))
        self.units: dict[str, Unit] = {}
        self.reports = 0
        self.notes: dict[str, str | None] = {}
        self.hint = asyncio.Event()
        self._reported = asyncio.Event()

    def report_units(self, manager: str, units: Iterable[Unit], *, at: float) -> None:
        assert manager == "docker"
        self.units = {unit.name: unit for unit in units}
        self.reports += 1
        self._reported.set()

    def report_health(self, component: str, check: str, evidence: Evidence) -> None:
        raise NotImplementedError

    def report_note(self, source: str, text: str | None) -> None:
        self.notes[source] = text

    async def wait_change(self) -> None:
        await self.hint.wait()
        self.hint.clear()

    async def until(self, true: Callable[[dict[str, Unit]], bool]) -> None:
        async with asyncio.timeout(20):
            while not true(self.units):
                self._reported.clear()
                await self._reported.wait()


@pytest.fixture
async def port(standin: Standin, here: Here) -> AsyncIterator[Port]:
    made = Port(here, standin.socket)
    watching = asyncio.create_task(DockerWatcher().run(made))
    yield made
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_watch, "RETRY", (0.1, 0.2))
    monkeypatch.setattr(docker_watch, "GAP", 0.1)


def health(name: str, wanted: UnitHealth) -> Callable[[dict[str, Unit]], bool]:
    return lambda units: name in units and units[name].health is wanted


LMS = "tutor_local:lms"


def test_dockerd_is_known_by_its_process() -> None:
    told = UnixEndpoint("/var/run/docker.sock", "root")
    assert docker_socket(snapshot(process("dockerd", "/usr/bin/dockerd", "-H", "fd://"))) == told
    assert docker_socket(snapshot(process("dockerd", "dockerd"))) == told
    other = process("dockerd", "dockerd", "-H", "tcp://0.0.0.0:2375", "--host=unix:///srv/d.sock")
    assert docker_socket(snapshot(other)) == UnixEndpoint("/srv/d.sock", "root")
    assert docker_socket(snapshot(process("dockerd", contained=True))) is None, "Docker in Docker"
    assert docker_socket(snapshot(process("dockerd", uid=1000))) is None, "somebody's, not the login's"
    assert docker_socket(snapshot(process("nginx"))) is None


def test_a_rootless_dockerd_of_the_login_has_its_socket_under_run() -> None:
    """docs.docker.com/engine/security/rootless: $XDG_RUNTIME_DIR/docker.sock; root's counts first."""
    own = replace(process("dockerd", "dockerd", uid=1000, pid=90), user="ops")
    assert docker_socket(snapshot(own)) == UnixEndpoint("/run/user/1000/docker.sock", "ops")
    told = replace(own, argv=("dockerd", "-H", "unix:///home/ops/d.sock"))
    assert docker_socket(snapshot(told)) == UnixEndpoint("/home/ops/d.sock", "ops")
    both = snapshot(own, process("dockerd", "dockerd", pid=95))
    assert docker_socket(both) == UnixEndpoint("/var/run/docker.sock", "root")


async def test_every_container_is_a_unit_and_an_event_reads_one_again(standin: Standin, port: Port) -> None:
    await port.until(health(LMS, UnitHealth.RUNNING))
    assert len(port.units) == 9
    assert port.notes == {"docker": None}
    asked = len(standin.asked)
    standin.happen("lms", "die", Status="exited", ExitCode=137, Pid=0)
    await port.until(health(LMS, UnitHealth.STOPPED))
    assert standin.asked[asked:] == [f"GET /containers/{standin.ident('lms')}/json"]
    del standin.inspect[standin.ident("lms")]
    standin.happen("lms", "destroy")
    await port.until(lambda units: LMS not in units)


async def test_a_flood_of_events_is_one_look_at_a_time(standin: Standin, port: Port) -> None:
    await port.until(health(LMS, UnitHealth.RUNNING))
    asked = len(standin.asked)
    for _ in range(3000):
        standin.happen("mongodb", "die")
    standin.happen("lms", "pause", Status="paused")
    await port.until(health(LMS, UnitHealth.FAILED))
    assert len(standin.asked) - asked < 60


async def test_without_an_answer_everything_is_unknown_until_it_comes_back(
    standin: Standin, port: Port
) -> None:
    await port.until(health(LMS, UnitHealth.RUNNING))
    await standin.stop()
    await port.until(health(LMS, UnitHealth.UNKNOWN))
    assert {u.health for u in port.units.values()} == {UnitHealth.UNKNOWN}
    assert "Containers are unknown: Docker" in (port.notes["docker"] or "")
    await standin.start()
    await port.until(health(LMS, UnitHealth.RUNNING))
    assert port.notes == {"docker": None}


async def test_one_that_stalls_is_found_out(
    standin: Standin, port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_watch, "PULSE", 0.2)
    monkeypatch.setattr(docker_client, "TIMEOUT", 0.2)
    await port.until(health(LMS, UnitHealth.RUNNING))
    standin.bad["/"] = silent
    await port.until(health(LMS, UnitHealth.UNKNOWN))
    assert "within 0.2 s" in (port.notes["docker"] or "")
    standin.bad.clear()
    await port.until(health(LMS, UnitHealth.RUNNING))


async def test_a_quiet_docker_is_asked_whether_it_is_there(
    standin: Standin, port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_watch, "PULSE", 0.1)
    await port.until(health(LMS, UnitHealth.RUNNING))
    before = port.reports
    await port.until(lambda _: port.reports >= before + 3)
    assert standin.asked.count("GET /_ping") >= 4
    assert standin.asked.count("GET /events") <= 1


async def test_more_containers_than_are_shown_are_counted(
    standin: Standin, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (docker_client, docker_watch):
        monkeypatch.setattr(module, "MAX_CONTAINERS", 4)
    port = Port(here, standin.socket)
    with running(port):
        await port.until(lambda units: len(units) == 4)
    assert port.notes["docker"] == "Not shown: 5 containers of compose projects beyond the first 4."


class Relayed(Here):
    """A host on which each stream takes a session."""

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        return replace(await super().open_stream(endpoint, timeout=timeout), rung="sudo-relay")

    async def let_go(self) -> bool:
        return all(writer.is_closing() for writer in self.writers)


async def test_through_a_relay_no_session_is_kept_and_hints_tell_when_to_look(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_watch, "SHOW_EVERY", 0.1)
    here = Relayed()
    port = Port(here, standin.socket)
    with running(port):
        await port.until(health(LMS, UnitHealth.RUNNING))
        await eventually(here.let_go)
        assert not any("/events" in asked for asked in standin.asked)
        standin.inspect[standin.ident("lms")]["State"] |= {"Status": "paused"}
        shim = process("containerd-shim", pid=7)
        port.snapshot = snapshot(*port.snapshot.processes.values(), shim)
        port.hint.set()
        await port.until(health(LMS, UnitHealth.FAILED))
    await here.close()


@contextmanager
def running(port: Port) -> Iterator[None]:
    watching = asyncio.create_task(DockerWatcher().run(port))
    try:
        yield
    finally:
        watching.cancel()
