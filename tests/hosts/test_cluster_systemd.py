"""The host that boots systemd, and what the cluster sees of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.engine import Engine
from edxconsole.inventory.model import Environment, Inventory
from edxconsole.services.base import Verb
from tests.lab import truth
from tests.lab.host import LabHost
from tests.lab.systemd import UNITS
from tests.lab.watching import instance, unit, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.systemd]


def one_host(host: LabHost) -> Inventory:
    """An inventory of this host alone."""
    return Inventory(environment=Environment.DEVELOPMENT, hosts={host.name: host.inventory_host()})


def test_it_boots_a_real_systemd(systemd_host: LabHost) -> None:
    assert systemd_host.ssh("ps -p 1 -o comm=").stdout.strip() == "systemd"
    states = systemd_host.ssh(f"systemctl is-active {' '.join(UNITS)}").stdout.split()
    assert states == ["active"] * len(UNITS)
    assert systemd_host.ssh("sudo -n systemctl is-system-running").stdout.strip() == "running"


async def test_units_are_what_systemctl_says(systemd_host: LabHost, tmp_path: Path) -> None:
    """Every unit the model shows has the state and main process that systemctl shows."""
    async with watching(one_host(systemd_host), tmp_path) as engine:
        await until(engine, has_units, within=30, what="the systemd units")
        seen = systemd_units(engine.snapshot)
        true = await asyncio.to_thread(truth.units, systemd_host, list(seen))
        assert {"nginx.service", "memcached.service", "redis-server.service"} <= set(seen)
        for name, shown in seen.items():
            state, pid = true[name]
            assert state in shown.word, name
            assert (shown.identity.pid or 0) == pid, name
        assert seen["nginx.service"].health is UnitHealth.RUNNING
        await until(
            engine,
            lambda s: (i := instance(s.hosts["sys1"], "nginx")) and i.state is State.UP and 80 in i.ports,
            within=30,
            what="nginx up on port 80",
        )


async def test_one_process_belongs_to_one_unit(systemd_host: LabHost, tmp_path: Path) -> None:
    """Otherwise a selector would restart it twice."""
    async with watching(one_host(systemd_host), tmp_path) as engine:
        await until(engine, has_units, within=30, what="the systemd units")
        pids = [u.identity.pid for u in systemd_units(engine.snapshot).values() if u.identity.pid]
        assert len(pids) == len(set(pids))
        assert "redis.service" not in systemd_units(engine.snapshot)
        assert "redis.service" in systemd_units(engine.snapshot)["redis-server.service"].aliases


@pytest.mark.parametrize("selector", ["redis@sys1", "redis.service@sys1", "redis-server@sys1"])
async def test_a_restart_by_any_name_is_one_step(
    systemd_host: LabHost, tmp_path: Path, selector: str
) -> None:
    """And one restart: the next invocation but one never comes."""
    async with watching(one_host(systemd_host), tmp_path) as engine:
        plan = await engine.draft(Verb.RESTART, selector, reason="test")
        assert [step.unit for step in plan.steps] == ["redis-server.service"]
        starts = "journalctl -q -u redis-server --output=cat | grep -c '^Started'"
        before = int(await systemd_host.ash(starts))
        engine.arm(60)
        await engine.run_plan(plan, confirmation=plan.digest, on_event=lambda event: None)
        assert int(await systemd_host.ash(starts)) == before + 1


async def test_a_settled_engine_knows_the_units(systemd_host: LabHost, tmp_path: Path) -> None:
    """Each time, in the very snapshot that it gives: a command prints that one and ends."""
    for _ in range(8):
        catalog = await asyncio.to_thread(load_catalog)
        async with Engine(one_host(systemd_host), catalog, journal=tmp_path / "journal") as engine:
            snapshot = await engine.wait_settled(30)
            assert has_units(snapshot), snapshot.hosts["sys1"]
            nginx = instance(snapshot.hosts["sys1"], "nginx")
            assert nginx is not None
            assert nginx.units == ("systemd/nginx.service",)


def systemd_units(snapshot: ClusterSnapshot) -> dict[str, Unit]:
    return {u.name: u for u in snapshot.hosts["sys1"].units.values() if u.kind == "systemd"}


def has_units(snapshot: ClusterSnapshot) -> bool:
    return "memcached.service" in systemd_units(snapshot)


async def test_a_unit_stopped_behind_our_back_is_seen(systemd_host: LabHost, tmp_path: Path) -> None:
    async with watching(one_host(systemd_host), tmp_path) as engine:
        await systemd_host.ash("systemctl stop memcached")
        try:
            await until(
                engine,
                lambda s: (
                    (u := unit(s.hosts["sys1"], "memcached.service")) and u.health is UnitHealth.STOPPED
                ),
                within=30,
                what="memcached.service stopped",
            )
            await until(
                engine,
                lambda s: (i := instance(s.hosts["sys1"], "memcached")) and i.state is State.DOWN,
                within=30,
                what="memcached down",
            )
        finally:
            await systemd_host.ash("systemctl start memcached")
        await until(
            engine,
            lambda s: (i := instance(s.hosts["sys1"], "memcached")) and i.state is State.UP,
            within=30,
            what="memcached up again",
        )


async def test_a_killed_unit_is_another_when_systemd_started_it_again(
    systemd_host: LabHost, tmp_path: Path
) -> None:
    async with watching(one_host(systemd_host), tmp_path) as engine:
        await until(engine, has_units, within=30, what="the systemd units")
        before = unit(engine.snapshot.hosts["sys1"], "memcached.service")
        assert before is not None
        await systemd_host.ash("systemctl kill --signal=KILL memcached")
        await until(
            engine,
            lambda s: (
                (u := unit(s.hosts["sys1"], "memcached.service"))
                and u.health is UnitHealth.RUNNING
                and u.identity != before.identity
            ),
            within=30,
            what="memcached.service running anew",
        )
        after = unit(engine.snapshot.hosts["sys1"], "memcached.service")
        assert after is not None
        true = await asyncio.to_thread(truth.units, systemd_host, ["memcached.service"])
        assert after.identity.pid == true["memcached.service"][1]
        assert after.identity.invocation != before.identity.invocation
