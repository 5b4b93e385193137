"""Things break on the Open edX cluster, and the model shows it in time. Each test mends what it broke.

Limits are generous: machines are noisy, and the exact figures belong to the bench.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.cluster.units import UnitHealth
from edxconsole.logs.model import LogFeed, LogSource
from tests.lab import truth
from tests.lab.cluster import LabCluster
from tests.lab.watching import instance, ports, unit, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root]


def state_of(snapshot: ClusterSnapshot, host: str, component: str) -> State | None:
    found = instance(snapshot.hosts[host], component)
    return found.state if found else None


async def test_a_killed_program_is_seen_to_come_back_as_another(cluster: LabCluster, tmp_path: Path) -> None:
    async with watching(cluster.inventory(), tmp_path) as engine:
        before = (await asyncio.to_thread(truth.programs, cluster.app1))["cms"].pid
        seen = unit(engine.snapshot.hosts["app1"], "cms")
        assert seen is not None
        assert seen.identity.pid == before
        await cluster.app1.ash(f"kill -9 {before}")
        fresh, _ = await until(
            engine,
            lambda s: next(
                (
                    u.identity.pid
                    for u in s.hosts["app1"].units.values()
                    if u.name == "cms" and u.identity.pid not in {before, None, 0}
                ),
                None,
            ),
            within=30,
            what="cms under a new pid",
        )
        await until(
            engine,
            lambda s: (u := unit(s.hosts["app1"], "cms")) and u.health is UnitHealth.RUNNING,
            within=30,
            what="cms running again",
        )
        assert fresh == (await asyncio.to_thread(truth.programs, cluster.app1))["cms"].pid
        assert before not in engine.snapshot.hosts["app1"].processes
    await asyncio.to_thread(cluster.wait_up, 60)


async def test_a_dead_daemon_is_down_and_so_is_nobody_else(cluster: LabCluster, tmp_path: Path) -> None:
    """memcached, which nothing restarts: its port goes, its component is not up, the rest of the host is."""
    async with watching(cluster.inventory(), tmp_path) as engine:
        await until(
            engine, lambda s: state_of(s, "data", "memcached") is State.UP, within=30, what="memcached up"
        )
        await cluster.data.ash("kill -9 $(pgrep -x memcached)")
        try:
            await until(
                engine, lambda s: 11211 not in ports(s.hosts["data"]), within=40, what="port 11211 closed"
            )
            await until(
                engine,
                lambda s: state_of(s, "data", "memcached") in {State.DOWN, State.ABSENT},
                within=30,
                what="memcached down",
            )
            assert any(p.component == "memcached" and p.host == "data" for p in engine.snapshot.problems)
            assert state_of(engine.snapshot, "data", "mysql") is State.UP
        finally:
            await cluster.data.ash("service memcached restart")
        await until(
            engine,
            lambda s: state_of(s, "data", "memcached") is State.UP,
            within=30,
            what="memcached up again",
        )


def workers(snapshot: ClusterSnapshot) -> int | None:
    """How many xqueue workers app2 has."""
    found = instance(snapshot.hosts["app2"], "xqueue")
    return found.workers_found if found else None


async def test_a_port_taken_by_an_orphan_is_told(cluster: LabCluster, tmp_path: Path) -> None:
    """xqueue can't start since something else listens on its port; the model shows who does."""
    app = cluster.app2
    async with watching(cluster.inventory(), tmp_path) as engine:
        await app.ash("/edx/bin/supervisorctl stop xqueue")
        app.spawn("/usr/bin/python3 -m http.server 8040")
        try:
            await until(engine, lambda s: 8040 in ports(s.hosts["app2"]), within=30, what="the orphan's port")
            await app.ash("/edx/bin/supervisorctl start xqueue", check=False)
            await until(
                engine,
                lambda s: (u := unit(s.hosts["app2"], "xqueue")) and u.health is not UnitHealth.RUNNING,
                within=30,
                what="xqueue not running",
            )
            await until(
                engine,
                lambda s: state_of(s, "app2", "xqueue") is not State.UP,
                within=30,
                what="xqueue not up",
            )
            owner = next(row for row in engine.snapshot.hosts["app2"].listeners if row.port == 8040)
            assert owner.pid in (await asyncio.to_thread(truth.listeners, app))["0.0.0.0", 8040]
            process = engine.snapshot.hosts["app2"].processes[owner.pid or 0]
            assert "http.server" in process.argv
        finally:
            await app.ash(
                "/edx/bin/supervisorctl stop xqueue; kill $(pgrep -f 'http.server 8040')", check=False
            )
            await app.ash("/edx/bin/supervisorctl start xqueue")
        # It may be called degraded a while longer: it has restarted several times in a minute.
        await until(
            engine,
            lambda s: state_of(s, "app2", "xqueue") in {State.UP, State.DEGRADED} and workers(s) == 2,
            within=40,
            what="xqueue at work again",
        )


async def test_a_rotated_log_loses_no_line(cluster: LabCluster, tmp_path: Path) -> None:
    """Renamed, reopened by nginx, and truncated in place: every line arrives once, in order."""
    path = "/edx/var/log/rotating.log"
    await cluster.web.ash(f"rm -f {path}*; echo before >{path}; chmod 644 {path}")
    feed = LogFeed()
    async with watching(cluster.lab.inventory([cluster.web]), tmp_path) as engine:
        stop = await engine.follow([LogSource(host="web", path=path)], feed)
        got: list[str] = []
        marks: list[str] = []

        async def take(count: int) -> None:
            for _ in range(200):
                for batch in feed.drain():
                    got.extend(batch.data.splitlines())
                    if batch.mark:
                        marks.append(batch.mark)
                if len(got) >= count:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(f"{len(got)} of {count} lines after 10 s: {got[-3:]}, {marks}")

        await take(1)
        await cluster.web.ash(f"for i in $(seq 100); do echo one $i >>{path}; done")
        await cluster.web.ash(f"mv {path} {path}.1; echo late >>{path}.1; echo two >{path}; chmod 644 {path}")
        await take(103)
        assert got == ["before", *(f"one {i}" for i in range(1, 101)), "late", "two"]
        assert "rotated" in marks
        await asyncio.sleep(1.5)
        await cluster.web.ash(f": >{path}")
        await asyncio.sleep(1.5)
        await cluster.web.ash(f"echo three >>{path}")
        await take(104)
        assert got[-1] == "three"
        assert "truncated" in marks
        stop()
    await cluster.web.ash(f"rm -f {path}*")


async def test_a_full_disk_is_a_problem(cluster: LabCluster, tmp_path: Path) -> None:
    app = cluster.app2
    async with watching(cluster.inventory(), tmp_path) as engine:
        await app.ash("dd if=/dev/zero of=/edx/var/filler bs=1M", check=False)
        try:
            await until(
                engine,
                lambda s: any(p.host == "app2" and "disk" in p.text.lower() for p in s.problems),
                within=40,
                what="the full disk among the problems",
            )
        finally:
            await app.ash("rm -f /edx/var/filler")
