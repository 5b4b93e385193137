"""What containers print, followed through a real dockerd: nothing twice, nothing lost, with its times."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from edxconsole.cluster.units import UnitHealth
from edxconsole.engine import Engine
from edxconsole.logs.model import LogBatch, LogFeed, LogSource
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab
from tests.lab.small import Log
from tests.lab.tutor import HOST, found, tutor_host, watched
from tests.lab.watching import until

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox"),
    pytest.mark.timeout(180),
]

COUNTS = "sh -c 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done'"
BOTH = "sh -c 'n=0; while :; do n=$((n+1)); echo out $n; echo err $n >&2; sleep 0.05; done'"
CUT = "pkill -STOP -x sshd; pkill -KILL -f '[s]shd: ops'; sleep 1; pkill -CONT -x sshd"


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    """Shared: each test has services of its own."""
    with tutor_host(module_lab) as docker:
        yield docker


def source(service: str) -> LogSource:
    return LogSource(HOST, f"docker:tutor_local:{service}", name=service)


async def running(engine: Engine, service: str) -> None:
    await until(
        engine, found(f"tutor_local:{service}", UnitHealth.RUNNING), within=30, what=f"{service} runs"
    )


def numbers(log: Log, service: str) -> list[int]:
    return [int(line.split()[-1]) for line in log.lines(source(service).path) if line.split()]


def consecutive(found: list[int]) -> None:
    missing = [b for a, b in pairwise(found) if b != a + 1]
    assert not missing, f"lines are lost or twice there before {missing[:5]}"


async def goes_on(log: Log, service: str, count: int = 40) -> None:
    before = len(numbers(log, service))
    await log.until(lambda g: len(numbers(g, service)) > before + count, within=40, what="further lines")


def has_lines(path: str, count: int, log: Log) -> bool:
    return len(log.lines(path)) == count


def marks(log: Log, service: str) -> list[str]:
    return log.marks(source(service).path)


def resumed(service: str, times: int, log: Log) -> bool:
    return marks(log, service).count("resumed") >= times


def whys(log: Log) -> str:
    return " | ".join(batch.why for batch in log.read() if batch.why)


@pytest.mark.parametrize("driver", ["json-file", "local"])
async def test_no_line_is_lost_or_told_twice_over_reconnections(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path, driver: str
) -> None:
    service = f"cms-{driver}"
    await asyncio.to_thread(tutor.run, service, COUNTS, f"--log-driver={driver}")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await running(engine, service)
        log = Log()
        stop = await engine.follow([source(service)], log.feed, last_lines=5)
        await goes_on(log, service)
        for times in (1, 2):
            await tutor.host.ash(CUT)
            await log.until(partial(resumed, service, times), within=60)
            await goes_on(log, service)
        stop()
    consecutive(numbers(log, service))
    assert "gap" not in marks(log, service)
    batches = [batch for batch in log.read() if batch.data]
    times_of = [at for batch in batches for at in batch.times]
    assert len(times_of) == len(numbers(log, service))
    back = [a - b for a, b in pairwise(times_of) if a > b]
    assert max(back, default=0.0) < 1, "the clock's offset is measured anew now and then"
    assert abs(times_of[-1] - batches[-1].at) < 0.001
    assert abs(times_of[-1] - time.time()) < 60, "told in this console's time"
    await tutor.host.ash(f"docker rm -f tutor_local-{service}-1")


async def test_dockerd_may_go_and_come_back(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    """Its containers go on (--live-restore); what they print meanwhile waits in their pipe."""
    service = "cms-restored"
    await asyncio.to_thread(tutor.run, service, COUNTS)
    async with watched(tutor, module_lab, tmp_path) as engine:
        await running(engine, service)
        log = Log()
        await engine.follow([source(service)], log.feed)
        await goes_on(log, service)
        await asyncio.to_thread(tutor.kill)
        await log.until(lambda g: "disconnected" in marks(g, service), within=30, what="it is said")
        await asyncio.to_thread(tutor.start)
        await goes_on(log, service)
        consecutive(numbers(log, service))
    await tutor.host.ash(f"docker rm -f tutor_local-{service}-1")


async def test_a_container_started_again_or_replaced_is_followed_on(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    service = "forum"
    name = f"tutor_local-{service}-1"
    ends = "sh -c 'echo begins 1; echo begins 2; sleep 1000'"
    await asyncio.to_thread(tutor.run, service, ends)
    async with watched(tutor, module_lab, tmp_path) as engine:
        await running(engine, service)
        log = Log()
        await engine.follow([source(service)], log.feed)
        await log.until(lambda g: len(numbers(g, service)) == 2, within=40)
        await tutor.host.ash(f"docker kill {name}")
        await log.until(lambda g: "missing" in marks(g, service), within=40)
        assert "the container is exited (137)" in whys(log)
        await tutor.host.ash(f"docker start {name}")
        await log.until(lambda g: len(numbers(g, service)) == 4, within=40)
        assert "back" in marks(log, service)
        await tutor.host.ash(f"docker rm -f {name}")
        await asyncio.to_thread(tutor.run, service, ends)
        await log.until(lambda g: len(numbers(g, service)) == 6, within=40)
        assert "rotated" in marks(log, service)
        assert numbers(log, service) == [1, 2] * 3
    await tutor.host.ash(f"docker rm -f {name}")


async def test_a_terminal_both_streams_and_long_lines(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    long = "busybox seq -s , 1 12000"  # 60 kB: four messages of Docker's
    await asyncio.to_thread(
        tutor.run, "lms", f"sh -c '{long}; echo end; echo error >&2; sleep 1000'", "--tty"
    )
    await asyncio.to_thread(tutor.run, "mysql", f"sh -c '{long}; echo end; echo error >&2; sleep 1000'")
    expected = ",".join(str(n) for n in range(1, 12001))
    async with watched(tutor, module_lab, tmp_path) as engine:
        for service in ("lms", "mysql"):
            await running(engine, service)
        (one,) = engine.log_sources([HOST], ["lms"])
        assert (one.path, one.component, one.name, one.format) == (
            "docker:tutor_local:lms", "lms", "lms", "uwsgi",
        )  # fmt: skip
        log = Log()
        await engine.follow([source("lms"), source("mysql")], log.feed)
        for service in ("lms", "mysql"):
            path = source(service).path
            await log.until(partial(has_lines, path, 3), within=40, what=service)
            assert sorted(log.lines(path)) == sorted([expected, "end", "error"])
    await tutor.host.ash("docker rm -f tutor_local-lms-1 tutor_local-mysql-1")


async def test_a_driver_that_keeps_nothing_says_so_in_a_sentence(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    await asyncio.to_thread(tutor.run, "redis", COUNTS, "--log-driver=none")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await running(engine, "redis")
        log = Log()
        await engine.follow([source("redis"), source("nosuch")], log.feed)
        await log.until(lambda g: len([b for b in g.read() if b.why]) >= 2, within=40)
        await asyncio.sleep(3)
        assert marks(log, "redis") == ["denied"], "said once"
        assert marks(log, "nosuch") == ["missing"]
        said = whys(log)
        assert "its logging driver keeps nothing that could be read (Docker says: " in said
        assert "does not support reading" in said
    await tutor.host.ash("docker rm -f tutor_local-redis-1")


async def test_a_flood_is_read_at_a_bounded_rate_and_what_the_feed_drops_is_counted(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    await asyncio.to_thread(tutor.run, "caddy", "sh -c 'busybox seq 1 30000; sleep 1000'")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await running(engine, "caddy")
        log = Log()
        log.feed = LogFeed(budget=100_000)
        await engine.follow([source("caddy")], log.feed, last_lines=30_000)
        seen = 0

        def last(batches: list[LogBatch]) -> bool:
            return any("30000" in batch.data.split() for batch in batches)

        deadline = time.monotonic() + 100
        while not log.feed.dropped_lines:  # the console that would show them is slow
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        while not last(batches := log.feed.drain()):
            seen += sum(len(batch.times) for batch in batches)
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(1)
        seen += sum(len(batch.times) for batch in batches)
        assert seen + log.feed.dropped_lines == 30_000
        assert log.feed.dropped_lines > 0
    await tutor.host.ash("docker rm -f tutor_local-caddy-1")


async def test_the_command_prints_a_containers_log(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    await asyncio.to_thread(tutor.run, "smtp", "sh -c 'echo one; echo two >&2; sleep 1000'")
    hosts = await asyncio.to_thread(module_lab.hosts_yaml, module_lab.inventory([tutor.host]))

    async def command(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edxconsole", "logs", "smtp@tutor", "--hosts", str(hosts), *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        return out.decode()

    plain = await command("--times")
    lines = plain.splitlines()
    assert sorted(line.split()[-1] for line in lines) == ["one", "two"], plain
    assert all(line.startswith("tutor smtp  20") for line in lines), plain
    objects = [json.loads(line) for line in (await command("--json")).splitlines()]
    told = [o for o in objects if "line" in o]
    assert sorted(o["line"] for o in told) == ["one", "two"]
    assert all(o["path"] == "docker:tutor_local:smtp" and o["component"] == "smtp" for o in told)
    assert all(abs(o["at"] - time.time()) < 120 for o in told)
    await tutor.host.ash("docker rm -f tutor_local-smtp-1")


async def test_through_sudo_logs_are_read_in_turns_and_no_session_is_kept(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    await tutor.host.ash("gpasswd -d ops docker")
    try:
        for service in ("discovery", "notes"):
            await asyncio.to_thread(tutor.run, service, COUNTS.replace("0.02", "0.2"))
        async with watched(tutor, module_lab, tmp_path) as engine:
            log = Log()
            for service in ("discovery", "notes"):
                await running(engine, service)
            await engine.follow([source("discovery"), source("notes")], log.feed, last_lines=3)
            for service in ("discovery", "notes"):
                await goes_on(log, service, 60)
                consecutive(numbers(log, service))
            assert (await engine.transport(HOST).run(["true"], timeout=20)).ok, "a session is free"
    finally:
        await tutor.host.ash(
            "usermod -aG docker ops; docker rm -f tutor_local-discovery-1 tutor_local-notes-1"
        )
