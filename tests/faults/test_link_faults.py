"""Hosts freeze, lose their network or their power: stale, then lost, then back by themselves; others go on.

Limits are generous: machines are noisy, and the exact figures belong to the bench.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Link, State
from edxconsole.engine import Engine
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.watching import until, watching

pytestmark = pytest.mark.hosts

STALE, LOST, BACK = 12.0, 30.0, 20.0
"""seconds allowed; wanted are 3, 8 and 3"""

GONE = {Link.LOST, Link.BACKOFF, Link.CONNECTING, Link.AUTHENTICATING}


@pytest.fixture
async def pair(lab: Lab, tmp_path: Path) -> AsyncIterator[tuple[Engine, LabHost, LabHost]]:
    """An engine on two hosts, both live."""
    one, two = lab.hosts(2)
    async with watching(lab.inventory(become=None), tmp_path, settle=0) as engine:
        await until(engine, all_live, within=30, what="both hosts live")
        yield engine, one, two


def link(snapshot: ClusterSnapshot, host: LabHost) -> Link:
    return snapshot.hosts[host.name].link


def all_live(snapshot: ClusterSnapshot) -> bool:
    return {host.link for host in snapshot.hosts.values()} == {Link.LIVE}


def nothing_green(snapshot: ClusterSnapshot, host: LabHost) -> bool:
    """A host that is not live shows nothing as up."""
    seen = snapshot.hosts[host.name]
    return not seen.trusted and all(i.state is not State.UP for i in seen.instances)


async def still_updated(engine: Engine, host: LabHost) -> None:
    """The other host is live and what it tells is new."""
    before = engine.snapshot.hosts[host.name].ages["vitals"].seen
    await until(
        engine,
        lambda s: s.hosts[host.name].ages["vitals"].seen > before,
        within=30,
        what=f"news of {host.name}",
    )
    assert link(engine.snapshot, host) is Link.LIVE


async def test_hosts_with_nothing_on_them_settle(lab: Lab, tmp_path: Path) -> None:
    """No service, nothing to check the health of: that is soon known, too."""
    lab.hosts(2)
    begun = time.monotonic()
    async with watching(lab.inventory(become=None), tmp_path, settle=40) as engine:
        assert time.monotonic() - begun < 20
        assert all_live(engine.snapshot)


async def test_a_frozen_host(pair: tuple[Engine, LabHost, LabHost]) -> None:
    engine, one, two = pair
    await asyncio.to_thread(one.freeze)
    await until(engine, lambda s: link(s, one) is not Link.LIVE, within=STALE, what="h1 stale")
    assert nothing_green(engine.snapshot, one)
    assert engine.snapshot.hosts["h1"].reason
    await still_updated(engine, two)
    await until(engine, lambda s: link(s, one) in GONE, within=LOST, what="h1 lost")
    assert any(problem.host == "h1" for problem in engine.snapshot.problems)
    await asyncio.to_thread(one.thaw)
    await until(engine, lambda s: link(s, one) is Link.LIVE, within=BACK, what="h1 back")


async def test_a_short_freeze_is_stale_and_the_same_connection_goes_on(
    pair: tuple[Engine, LabHost, LabHost],
) -> None:
    engine, one, _ = pair
    sessions = await one.ash("pgrep -c -f '[s]shd: ops'")
    await asyncio.to_thread(one.freeze)
    await until(engine, lambda s: link(s, one) is Link.STALE, within=STALE, what="h1 stale")
    await asyncio.to_thread(one.thaw)
    await until(engine, lambda s: link(s, one) is Link.LIVE, within=BACK, what="h1 live again")
    assert await one.ash("pgrep -c -f '[s]shd: ops'") == sessions


@pytest.mark.needs("iptables")
async def test_a_dropped_connection(pair: tuple[Engine, LabHost, LabHost]) -> None:
    """Packets vanish both ways: nobody says goodbye."""
    engine, one, two = pair
    await asyncio.to_thread(one.drop)
    await until(engine, lambda s: link(s, one) is not Link.LIVE, within=STALE, what="h1 stale")
    await until(engine, lambda s: link(s, one) in GONE, within=LOST, what="h1 lost")
    await still_updated(engine, two)
    await asyncio.to_thread(one.undrop)
    await until(engine, lambda s: link(s, one) is Link.LIVE, within=BACK, what="h1 back")


async def test_a_killed_session_is_noticed_at_once_and_made_anew(
    pair: tuple[Engine, LabHost, LabHost],
) -> None:
    engine, one, _ = pair
    await one.ash("pkill -9 -f '[s]shd: ops'")
    await until(engine, lambda s: link(s, one) is not Link.LIVE, within=STALE, what="h1 not live")
    await until(engine, lambda s: link(s, one) is Link.LIVE, within=BACK, what="h1 back")


async def test_a_host_without_power_and_its_return(pair: tuple[Engine, LabHost, LabHost]) -> None:
    """It comes back with other processes: none of the old ones may be shown."""
    engine, one, two = pair
    one.spawn("sleep 98765")
    await until(
        engine,
        lambda s: any("98765" in p.argv for p in s.hosts["h1"].processes.values()),
        within=30,
        what="the sleep",
    )
    await asyncio.to_thread(one.kill)
    await until(engine, lambda s: link(s, one) in GONE, within=LOST, what="h1 lost")
    assert nothing_green(engine.snapshot, one)
    await still_updated(engine, two)
    one.boot()
    await asyncio.to_thread(one.wait_ssh)
    await until(engine, lambda s: link(s, one) is Link.LIVE, within=2 * BACK, what="h1 back")
    await until(
        engine,
        lambda s: not any("98765" in p.argv for p in s.hosts["h1"].processes.values()),
        within=40,
        what="the old process gone",
    )


@pytest.mark.needs("iptables")
async def test_a_refused_port_is_said_and_the_rest_is_live(lab: Lab, tmp_path: Path) -> None:
    one, two = lab.hosts(2)
    one.refuse_ssh()
    async with watching(lab.inventory(become=None), tmp_path, settle=0) as engine:
        await until(engine, lambda s: link(s, two) is Link.LIVE, within=30, what="h2 live")
        await until(engine, lambda s: "refused" in s.hosts["h1"].reason, within=30, what="the refusal")
        seen = engine.snapshot.hosts["h1"]
        assert seen.link in GONE
        assert seen.reason.count("\n") == 0
        one.accept_ssh()
        await until(engine, lambda s: link(s, one) is Link.LIVE, within=2 * BACK, what="h1 reached")


async def test_a_changed_host_key_is_refused_for_good(lab: Lab, tmp_path: Path) -> None:
    """Until the operator asks again; the other host is not concerned."""
    one, two = lab.hosts(2)
    lines = lab.known_hosts.read_text().splitlines()
    stranger = lines[1].split(" ", 1)[1]
    lab.known_hosts.write_text(f"{one.address} {stranger}\n{lines[1]}\n")
    async with watching(lab.inventory(become=None), tmp_path, settle=0) as engine:
        await until(engine, lambda s: link(s, two) is Link.LIVE, within=30, what="h2 live")
        await until(engine, lambda s: link(s, one) is Link.REFUSED, within=30, what="h1 refused")
        assert "key" in engine.snapshot.hosts["h1"].reason
        lab.known_hosts.write_text("\n".join(lines) + "\n")
        engine.reconnect("h1")
        await until(engine, lambda s: link(s, one) is Link.LIVE, within=BACK, what="h1 after reconnect")
