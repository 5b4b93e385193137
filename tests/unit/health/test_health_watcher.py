"""When checks are asked: on first sight, at once after a change, sooner while not up; never by polling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import Catalog, Component, HealthSpec
from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import Age, Evidence, HostSnapshot, Instance, Link, Process, State
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.health import checks
from edxconsole.health import watcher as watching
from edxconsole.health.watcher import HealthWatcher
from edxconsole.inventory.model import Host
from edxconsole.transport.local_transport import LocalTransport

CATALOG = load_catalog()
LIMIT = 10.0


def process(pid: int, start: int = 1) -> Process:
    return Process(pid, start, 0.0, 1, 0, "root", "redis", ("redis-server",), "S", 0.0, 0, 1)


def asked_every(seconds: float) -> Catalog:
    """A catalog of Redis alone, with its PING alone."""
    redis = CATALOG.components["redis"]
    ping = redis.health[0].model_copy(update={"every": seconds})
    return Catalog(components={"redis": redis.model_copy(update={"health": (ping,)})})


class Port:
    """The part of a HostPort that the watcher uses; `asked` has the start of the process at each ask."""

    name = "data"
    transport = None

    def __init__(self) -> None:
        self.snapshot = HostSnapshot("data", 1, Link.LIVE, "", 0.0)
        self.asked: asyncio.Queue[int] = asyncio.Queue()
        self.waits = 0
        self._event = asyncio.Event()

    def see(self, *processes: Process) -> None:
        redis = Instance("redis", "data", State.UP, "", None, pids=tuple(p.pid for p in processes))
        self.snapshot = replace(
            self.snapshot, processes={p.pid: p for p in processes}, instances=(redis,) if processes else ()
        )
        event, self._event = self._event, asyncio.Event()
        event.set()

    def report_health(self, component: str, check: str, evidence: Evidence) -> None:
        assert component == "redis"
        (seen,) = self.snapshot.processes.values()
        self.asked.put_nowait(seen.start)

    async def wait_change(self) -> None:
        self.waits += 1
        await self._event.wait()

    async def next_ask(self) -> int:
        async with asyncio.timeout(LIMIT):
            return await self.asked.get()


@asynccontextmanager
async def watched(
    monkeypatch: pytest.MonkeyPatch, port: Port, state: State, *, every: float
) -> AsyncIterator[None]:
    async def answer(*_: Any) -> Evidence:
        return Evidence("health", "PONG", state, Age(0.0, 0.0))

    monkeypatch.setattr(watching, "run_check", answer)
    monkeypatch.setattr(watching, "SPREAD", (1.0, 1.0))
    monkeypatch.setattr(watching, "HURRY", every / 0.05)
    task = asyncio.create_task(HealthWatcher(asked_every(every)).run(port))  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_there_is_asked_at_once_and_again_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port()
    port.see(process(10))
    async with watched(monkeypatch, port, State.UP, every=0.05):
        assert [await port.next_ask() for _ in range(3)] == [1, 1, 1]


async def test_what_changed_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port()
    async with watched(monkeypatch, port, State.UP, every=60 * LIMIT):
        await asyncio.sleep(0.01)
        port.see(process(10))
        assert await port.next_ask() == 1
        port.see(process(10, start=2))
        assert await port.next_ask() == 2
        port.see(process(10, start=2))
        port.see(process(10, start=3))
        assert await port.next_ask() == 3, "two changes in a row: the newest counts"


async def test_what_was_published_while_it_started_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port()
    async with watched(monkeypatch, port, State.UP, every=60 * LIMIT):
        await asyncio.sleep(0)
        wait, port._event = port._event, asyncio.Event()
        port.see(process(10))
        assert not wait.is_set(), "nobody rings for it any more"
        assert await port.next_ask() == 1


async def test_what_is_not_up_is_asked_again_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port()
    port.see(process(10))
    async with watched(monkeypatch, port, State.DOWN, every=60 * LIMIT):
        assert [await port.next_ask() for _ in range(3)] == [1, 1, 1]


async def test_a_quiet_host_does_not_wake_it(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    port = Port()

    class Counting(HealthWatcher):
        def _renew(self, *arguments: Any) -> None:
            looks.append(asyncio.get_running_loop().time())
            super()._renew(*arguments)

    task = asyncio.create_task(Counting(CATALOG).run(port))  # type: ignore[arg-type]
    await asyncio.sleep(1.5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len(looks) == 2, "when it began, and when what was reported before that was published"
    assert port.waits == 1


async def test_what_costs_is_never_asked_by_the_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/heartbeat?extended` is for an operator to ask: on the host, and in Tutor's containers."""
    asked: set[tuple[str, str]] = set()
    complete = asyncio.Event()

    async def answer(_: Any, __: Any, component: str, check: Check, ___: Any) -> Evidence:
        asked.add((component, check.name))
        if wanted <= asked:
            complete.set()
        return Evidence("health", "fine", State.UP, Age(0.0, 0.0))

    monkeypatch.setattr(watching, "run_check", answer)
    monkeypatch.setattr(watching, "SPREAD", (0.001, 0.002))
    port = Port()
    unit = Unit("docker", "t:lms", "running", UnitHealth.RUNNING, Identity(9, 1, "a"), address="10.0.0.9")
    pids = range(10, 10 + len(CATALOG.components))
    instances = [
        Instance(c, "data", State.UP, "", None, pids=(pid,), ports=(443,))
        for c, pid in zip(CATALOG.components, pids, strict=True)
    ]
    lms = next(i for i, one in enumerate(instances) if one.component == "lms")
    instances[lms] = replace(instances[lms], units=("docker/t:lms",))
    port.snapshot = replace(
        port.snapshot,
        processes={pid: process(pid) for pid in pids},
        instances=tuple(instances),
        units={"docker/t:lms": unit},
    )
    port.report_health = lambda *_: None  # type: ignore[method-assign]
    wanted = {(c.id, h.name) for c in CATALOG.components.values() for h in c.health if not h.on_demand} | {
        ("lms", "heartbeat in t:lms")
    }
    task = asyncio.create_task(HealthWatcher(CATALOG).run(port))  # type: ignore[arg-type]
    async with asyncio.timeout(LIMIT):
        await complete.wait()
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert asked == wanted
    assert any(h.on_demand and h.path.endswith("?extended") for h in CATALOG.components["lms"].health)
    assert all("?" not in h.path for c in CATALOG.components.values() for h in _periodic(c))


async def test_any_number_of_silent_services_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real sockets: six accept and never answer, one answers; it is asked on while they are waited for."""
    silent: list[asyncio.StreamWriter] = []

    async def accepts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)
        await reader.read()
        writer.close()

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"+PONG\r\n")
        writer.close()

    stuck = await asyncio.start_server(accepts, "127.0.0.1", 0)
    well = await asyncio.start_server(answers, "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (stuck, well)]
    redis = CATALOG.components["redis"]
    names = [f"stuck{i}" for i in range(6)] + ["well"]
    specs = [HealthSpec(name=n, kind="redis", port=ports[n == "well"], every=2.0) for n in names]
    monkeypatch.setattr(watching, "SLOW", 2.5)
    monkeypatch.setattr(watching, "SPREAD", (0.1, 0.1))
    monkeypatch.setattr(checks, "TIMEOUT", 5.0)
    port = Port()
    port.see(process(10))
    told: asyncio.Queue[tuple[str, State]] = asyncio.Queue()
    port.report_health = (  # type: ignore[method-assign]
        lambda component, check, evidence: told.put_nowait((check, evidence.state))
    )
    transport = LocalTransport(Host(name="data", transport="local"))
    await transport.connect()
    port.transport = transport  # type: ignore[assignment]
    catalog = Catalog(components={"redis": redis.model_copy(update={"health": tuple(specs)})})
    task = asyncio.create_task(HealthWatcher(catalog).run(port))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(60):
            down: set[str] = set()
            while len(down) < 6:
                name, state = await told.get()
                down |= {name} if state is State.DOWN else set()
            # From now on each of them is known to be slow; whatever they do, the other goes on.
            while (await told.get())[0] != "well":
                pass
            heard = [await told.get() for _ in range(8)]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await transport.close()
        for server in (stuck, well):
            server.close()
    assert heard.count(("well", State.UP)) > 4, heard


def _periodic(component: Component) -> list[HealthSpec]:
    tutor = component.tutor.health if component.tutor else ()
    return [h for h in (*component.health, *tutor) if not h.on_demand]


@pytest.mark.parametrize("component", CATALOG.components.values(), ids=lambda c: c.id)
def test_rates_are_modest_and_what_costs_says_so(component: Component) -> None:
    tutor = component.tutor.health if component.tutor else ()
    for spec in (*component.health, *tutor):
        assert spec.meaning
        assert bool(spec.cost) == spec.on_demand
        assert spec.every >= {
            "mysql": 20,
            "absent": 60,
            "tls": 600,
            "redis-queues": 15,
            "amqp-queues": 30,
            "mysql-login": 60,
            "mongodb-status": 30,
        }.get(spec.kind, 8)
    names = [h.name for h in component.health]
    assert len(names) == len(set(names))
