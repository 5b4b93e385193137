"""The engine's model against what the hosts themselves say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Link, State
from edxconsole.logs.model import LogBatch, LogFeed
from tests.hosts.engine_watch import Watched, watched
from tests.lab.cluster import LabCluster

pytestmark = [pytest.mark.hosts, pytest.mark.root]


@pytest.fixture
async def live(cluster: LabCluster, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched(cluster.inventory(), tmp_path) as engine:
        yield engine


def state_of(snapshot: ClusterSnapshot, host: str, component: str) -> State | None:
    return next((i.state for i in snapshot.hosts[host].instances if i.component == component), None)


async def test_every_component_is_up_where_it_runs_and_nowhere_else(live: Watched) -> None:
    """Other tests kill gunicorn masters here, whose workers may hold a port for half their timeout more."""
    app = ("lms", "cms", "edxapp_worker", "xqueue", "xqueue_consumer", "supervisor")
    wanted = {
        "web": {"nginx": State.UP},
        "app1": dict.fromkeys(app, State.UP),
        "app2": dict.fromkeys(app, State.UP),
        "data": dict.fromkeys(("mysql", "mongodb", "memcached", "redis"), State.UP),
    }

    def found(snapshot: ClusterSnapshot) -> dict[str, dict[str, State]]:
        return {h.name: {i.component: i.state for i in h.instances} for h in snapshot.hosts.values()}

    await live.until(lambda s: found(s) == wanted and s.problems == (), 165)


async def test_programs_and_ports_agree_with_supervisorctl_and_ss(live: Watched, cluster: LabCluster) -> None:
    host = live.host("app1")
    said = {u.name: u.word for u in host.units.values() if u.kind == "supervisor"}
    assert said == await asyncio.to_thread(cluster.programs, cluster.app1)
    lines = (await cluster.app1.ash("ss -tlnH")).splitlines()
    ports = {int(line.split()[3].rpartition(":")[2]) for line in lines}
    await live.until(lambda s: {x.port for x in s.hosts["app1"].listeners if x.port} == ports)
    pids = {int(p) for p in (await cluster.app1.ash("ps -e -o pid=")).split()}
    assert len(set(host.processes) - pids) <= 2  # the probe sees what comes and goes
    lms = live.instance("app1", "lms")
    assert lms is not None
    assert next(e.text for e in lms.evidence if e.source == "health").startswith(
        "heartbeat: /heartbeat answers 200, modulestore, sql true"
    )


async def test_a_killed_program_is_shown_and_its_successor_too(live: Watched, cluster: LabCluster) -> None:
    before = next(u for u in live.host("app1").units.values() if u.name == "xqueue").identity
    await cluster.app1.ash(f"kill -9 {before.pid}")

    def another(snapshot: ClusterSnapshot) -> bool:
        unit = next(u for u in snapshot.hosts["app1"].units.values() if u.name == "xqueue")
        return unit.identity.pid is not None and unit.identity != before

    await live.until(another)
    await live.until(lambda s: state_of(s, "app1", "xqueue") is State.UP)


async def test_a_dead_database_makes_the_lms_degraded_and_says_which_part(
    live: Watched, cluster: LabCluster
) -> None:
    await cluster.data.ash("pkill -STOP -x 'mariadbd|mysqld'")
    try:
        # Asked every 18 to 30 s while it answers, since each question is a line in MySQL's own log.
        await live.until(lambda s: state_of(s, "data", "mysql") is State.DOWN, 60)
        await live.until(lambda s: state_of(s, "app1", "lms") in (State.DEGRADED, State.DOWN))
    finally:
        await cluster.data.ash("pkill -CONT -x 'mariadbd|mysqld'")
    await live.until(lambda s: state_of(s, "data", "mysql") is State.UP, 60)
    await live.until(lambda s: state_of(s, "app1", "lms") is State.UP, 60)


async def test_a_stopped_program_is_down_and_an_orphan_on_its_port_is_named(
    live: Watched, cluster: LabCluster
) -> None:
    await cluster.app2.ash("/edx/bin/supervisorctl stop xqueue")
    await live.until(lambda s: state_of(s, "app2", "xqueue") is State.DOWN)
    orphan = (
        await cluster.app2.ash(
            "setsid socat TCP-LISTEN:8040,bind=127.0.0.1,fork,reuseaddr - "
            "</dev/null >/dev/null 2>&1 & echo $!"
        )
    ).strip()
    try:

        def named(snapshot: ClusterSnapshot) -> bool:
            found = next(i for i in snapshot.hosts["app2"].instances if i.component == "xqueue")
            return "port 8040 is held by pid" in found.reason and "(socat), not by xqueue" in found.reason

        await live.until(named)
    finally:
        await cluster.app2.ash(f"kill {orphan} $(pgrep -x socat); /edx/bin/supervisorctl start xqueue")
    await live.until(lambda s: state_of(s, "app2", "xqueue") is State.UP)


async def test_a_frozen_host_is_stale_then_lost_then_live_again(live: Watched, cluster: LabCluster) -> None:
    version = live.host("web").version
    await asyncio.to_thread(cluster.web.freeze)
    try:
        stale = await live.until(lambda s: s.hosts["web"].link is Link.STALE, 6)
        lost = await live.until(lambda s: s.hosts["web"].link is Link.LOST, 12)
        nginx = live.instance("web", "nginx")
        assert nginx is not None
        assert nginx.state is State.UNKNOWN
        assert "was up" in nginx.reason
        assert [p.host for p in live.engine.snapshot.problems] == ["web"]
        assert live.host("web").version > version
        assert live.host("app1").link is Link.LIVE
        print(f"stale after {stale:.2f} s, lost after {stale + lost:.2f} s")
    finally:
        await asyncio.to_thread(cluster.web.thaw)
    back = await live.until(lambda s: s.hosts["web"].link is Link.LIVE, 20)
    print(f"live again after {back:.2f} s")
    await live.until(lambda s: state_of(s, "web", "nginx") is State.UP)


async def test_a_short_freeze_costs_no_reconnection(live: Watched, cluster: LabCluster) -> None:
    session = live.session("app1")
    attempts = session.attempts
    await asyncio.to_thread(cluster.app1.freeze)
    try:
        await live.until(lambda s: s.hosts["app1"].link is Link.STALE, 6)
        assert live.host("app1").reason
    finally:
        await asyncio.to_thread(cluster.app1.thaw)
    await live.until(lambda s: s.hosts["app1"].link is Link.LIVE, 6)
    assert session.attempts == attempts


async def test_an_unreachable_host_comes_back_by_itself(live: Watched, cluster: LabCluster) -> None:
    await asyncio.to_thread(cluster.app2.drop)
    try:
        await live.until(lambda s: s.hosts["app2"].link is Link.LOST, 20)
        await asyncio.sleep(8)
    finally:
        await asyncio.to_thread(cluster.app2.undrop)
    back = await live.until(lambda s: s.hosts["app2"].link is Link.LIVE, 30)
    print(f"live again after {back:.2f} s")


async def test_a_log_is_followed_over_rotation_and_reconnection(live: Watched, cluster: LabCluster) -> None:
    path = "/edx/var/log/lms/edx.log"
    source = next(s for s in live.engine.log_sources(["app1"], ["lms"]) if s.path == path)
    feed = LogFeed()
    stop = await live.engine.follow([source], feed, last_lines=1)
    got: list[LogBatch] = []

    async def until_seen(text: str) -> None:
        async with asyncio.timeout(30):
            while not any(text in b.data for b in got):
                got.extend(feed.drain())
                await asyncio.sleep(0.02)

    await cluster.app1.ash(f"echo one >> {path}")
    await until_seen("one\n")
    # The new file belongs to the LMS, or its workers would not boot again.
    new = f"install -o www-data -g www-data -m 644 /dev/null {path}"
    await cluster.app1.ash(f"mv {path} {path}.1; echo two >> {path}.1; {new}; echo three >> {path}")
    await until_seen("two\n")
    await until_seen("three\n")
    sessions = live.host("app1").since
    await cluster.app1.ash("pkill -f '[s]shd: ops'")
    await live.until(lambda s: s.hosts["app1"].link is Link.LOST, 10)
    await cluster.app1.ash(f"echo four >> {path}")
    await until_seen("four\n")
    stop()
    marks = [b.mark for b in got if b.mark]
    assert "rotated" in marks
    assert marks[-2:] == ["disconnected", "resumed"]
    lines = "".join(b.data for b in got).splitlines()
    assert [x for x in lines if x in {"one", "two", "three", "four"}] == ["one", "two", "three", "four"]
    assert live.host("app1").since > sessions
