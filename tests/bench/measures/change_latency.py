"""From a change on a host to the model, and from the model to the painted screen."""

from __future__ import annotations

import asyncio
import random
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.cluster.units import Unit
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory
from edxconsole.logs.model import LogFeed
from tests.bench.hand import Hand
from tests.bench.harness import Row, p95, spread
from tests.bench.stage import Stage
from tests.bench.terminal import Terminal
from tests.lab import needs
from tests.lab.cluster import LabCluster

KILLS, PORTS, LINES, PAINTS = 20, 20, 60, 20
PROGRAMS = ("xqueue", "cms", "lms")
LOG = "/edx/var/log/lms/edx.log"
_CHANCE = random.Random(2)
"""pauses that keep no step with the probe's samples"""
_WRAPPER = '#!/bin/sh\nshift 2\nPYTHONPATH={folder} exec {python} "$@"\n'
"""without -E and -s, so that it finds a ctypes that is none"""
NO_PIDFD = "3.8"
"""a Python without os.pidfd_open, and made to find no libc either"""
HOW = """The light cluster of `tests/lab`. A helper process on the host kills (-9) programs of a real
supervisord, opens and closes a port, appends lines to edx.log, and gives the time right before each act by
the clock that all hosts share; the engine's wake gives the time after. Without pidfd: the second app host,
its probe run by a Python whose pidfd calls are taken away. Model to screen: the console in a pty (120×36)
on a host's page; from the engine's wake with a new port to the read from the pty that shows it."""


@dataclass(slots=True)
class Found:
    """Seconds."""

    kills: dict[str, list[float]] = field(default_factory=dict)
    opened: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    lines: list[float] = field(default_factory=list)


def measure(stage: Stage) -> Iterator[Row]:
    with stage.cluster() as cluster:
        slow = _python_without_pidfd(cluster)
        found = asyncio.run(_model(cluster, _inventory(cluster, slow), stage, slow is not None))
        painted = _painted(cluster, stage)
    yield _row("kill -9 of a program → model, p95, pidfd", found.kills["app1"], 250)
    if slow:
        yield _row("kill -9 of a program → model, p95, no pidfd", found.kills["app2"], 1200)
    else:
        yield Row("kill -9 → model, no pidfd", None, "ms", note=f"no Python {NO_PIDFD} on this machine")
    yield _row("port opened → model, p95", found.opened, 1200)
    yield _row("port closed → model, p95", found.closed, 1200)
    yield _row("log line → feed, p95", found.lines, 150)
    yield _row("model → painted screen, p95", painted, 60)


def _row(what: str, seconds: list[float], most: float) -> Row:
    times = [1000 * s for s in seconds]
    return Row(what, p95(times), "ms", most=most, note=spread(times, "ms"))


def _python_without_pidfd(cluster: LabCluster) -> str | None:
    """A wrapper on app2 around an interpreter that has none; None when the machine lacks it."""
    python = needs.python(NO_PIDFD)
    if python is None:
        return None
    wrapper = "/usr/local/bin/python-no-pidfd"
    folder = "/usr/local/lib/no-ctypes"
    script = _WRAPPER.format(folder=folder, python=python)
    cluster.app2.sh(
        f"mkdir -p {folder} && echo 'raise ImportError(1)' > {folder}/ctypes.py && "
        f"printf %s {shlex.quote(script)} > {wrapper} && chmod 755 {wrapper}"
    )
    return wrapper


def _inventory(cluster: LabCluster, slow: str | None) -> Inventory:
    inventory = cluster.inventory()
    if slow is None:
        return inventory
    hosts = dict(inventory.hosts)
    hosts["app2"] = replace(hosts["app2"], python=slow)
    return replace(inventory, hosts=hosts)


async def _model(cluster: LabCluster, inventory: Inventory, stage: Stage, slow: bool) -> Found:
    found = Found()
    async with Engine(inventory, load_catalog(), journal=stage.place()) as engine:
        await engine.wait_settled(40)
        if slow and not engine.snapshot.hosts["app2"].python.startswith(NO_PIDFD):
            raise RuntimeError(
                f"app2's probe runs on {engine.snapshot.hosts['app2'].python}, which has pidfd"
            )
        hands = {name: await asyncio.to_thread(Hand, getattr(cluster, name)) for name in ("app1", "app2")}
        await asyncio.sleep(3)
        for host, hand in hands.items():
            found.kills[host] = await _kills(engine, host, hand)
        await _ports(engine, hands["app1"], found)
        found.lines = await _lines(engine, hands["app1"])
        for hand in hands.values():
            hand.close()
    return found


Sight = Callable[[ClusterSnapshot], bool]


@asynccontextmanager
async def _sight(engine: Engine, seen: Sight) -> AsyncIterator[Awaitable[float]]:
    """A future of time.monotonic() when a snapshot satisfies `seen`."""
    future: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def look() -> None:
        if not future.done() and seen(engine.snapshot):
            future.set_result(time.monotonic())

    unsubscribe = engine.subscribe(look)
    try:
        yield future
    finally:
        unsubscribe()


async def _kills(engine: Engine, host: str, hand: Hand) -> list[float]:
    times = []
    for number in range(KILLS):
        name = PROGRAMS[number % len(PROGRAMS)]
        await _steady(engine, host, name)
        pid = _unit(engine.snapshot, host, name).identity.pid
        assert pid is not None

        def dead(snapshot: ClusterSnapshot, pid: int = pid) -> bool:
            process = snapshot.hosts[host].processes.get(pid)
            return process is None or process.state == "Z"

        async with _sight(engine, dead) as sight:
            at = await asyncio.to_thread(hand.kill, pid)
            times.append(await asyncio.wait_for(sight, 10) - at)
    return times


def _unit(snapshot: ClusterSnapshot, host: str, name: str) -> Unit:
    return next(u for u in snapshot.hosts[host].units.values() if u.name == name)


async def _steady(engine: Engine, host: str, name: str) -> None:
    """Until a program runs, and has for a moment: its new process known to the probe."""
    for _ in range(200):
        unit = _unit(engine.snapshot, host, name)
        if unit.word == "RUNNING" and unit.identity.pid in engine.snapshot.hosts[host].processes:
            await asyncio.sleep(_CHANCE.uniform(0.2, 1.2))
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{name} on {host} does not run")


async def _ports(engine: Engine, hand: Hand, found: Found) -> None:
    for port in range(7000, 7000 + PORTS):
        for act, times, there in (
            (hand.open_port, found.opened, True),
            (hand.close_port, found.closed, False),
        ):

            def seen(snapshot: ClusterSnapshot, port: int = port, there: bool = there) -> bool:
                return there == any(x.port == port for x in snapshot.hosts["app1"].listeners)

            async with _sight(engine, seen) as sight:
                at = await asyncio.to_thread(act, port)
                times.append(await asyncio.wait_for(sight, 10) - at)
            await asyncio.sleep(_CHANCE.uniform(0.0, 1.0))


async def _lines(engine: Engine, hand: Hand) -> list[float]:
    sources = [s for s in engine.log_sources(["app1"]) if s.path == LOG]
    written: dict[int, float] = {}
    read: dict[int, float] = {}

    def wake() -> None:
        at = time.monotonic()
        for batch in feed.drain():
            for line in batch.data.splitlines():
                if line.startswith("benchmark "):
                    read[int(line.split()[1])] = at

    feed = LogFeed(wake=wake)
    stop = await engine.follow(sources, feed, last_lines=1)
    await asyncio.sleep(1)
    for number in range(LINES):
        written[number] = await asyncio.to_thread(hand.append, LOG, f"benchmark {number}\n")
        await asyncio.sleep(_CHANCE.uniform(0.05, 0.25))
    await asyncio.sleep(1.5)
    stop()
    return [read[number] - at for number, at in written.items()]


def _painted(cluster: LabCluster, stage: Stage) -> list[float]:
    """Seconds from the engine's wake with a new port to the bytes that show it."""
    yaml = cluster.lab.hosts_yaml(cluster.lab.inventory([cluster.app1]))
    environment = stage.environment() | {"BENCH_CHANGES": "1"}
    hand = Hand(cluster.app1)
    times = []
    with Terminal(stage.child("console", str(yaml)), environment, tell="BENCH_TELL") as terminal:
        terminal.wait_for(b"app1")
        time.sleep(6)
        terminal.type(b"2")
        time.sleep(2)
        for port in range(7100, 7100 + PAINTS):
            since = terminal.position
            hand.open_port(port)
            shown = terminal.wait_for(str(port).encode(), since)
            times.append(shown - _woken(terminal, port))
            hand.close_port(port)
            time.sleep(_CHANCE.uniform(1.0, 2.0))
    hand.close()
    return times


def _woken(terminal: Terminal, port: int) -> float:
    """When the engine woke with this port; what tells it may come a moment after the paint."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for fact in terminal.facts:
            match fact.split():
                case ["port", at, number] if number == str(port):
                    return float(at)
        time.sleep(0.01)
    raise AssertionError(f"the console painted port {port} and never told when it knew of it")
