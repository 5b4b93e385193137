"""The host that boots systemd, and what the cluster sees of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.cluster.model import State
from edxconsole.cluster.units import UnitHealth
from edxconsole.inventory.model import Environment, Inventory
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
        true = await asyncio.to_thread(truth.services, systemd_host)
        units = {u.name: u for u in engine.snapshot.hosts["sys1"].units.values() if u.kind == "systemd"}
        assert {"nginx.service", "memcached.service", "redis-server.service"} <= set(units)
        for name, seen in units.items():
            if name.endswith(".service"):
                assert name in true, f"{name} is no unit's Id"
                state, pid = true[name]
                assert state in seen.word, name
                assert (seen.identity.pid or 0) == pid, name
        assert units["nginx.service"].health is UnitHealth.RUNNING
        nginx = instance(engine.snapshot.hosts["sys1"], "nginx")
        assert nginx is not None
        assert nginx.state is State.UP
        assert 80 in nginx.ports


async def test_a_unit_stopped_behind_our_back_is_seen(systemd_host: LabHost, tmp_path: Path) -> None:
    async with watching(one_host(systemd_host), tmp_path) as engine:
        await systemd_host.ash("systemctl stop memcached")
        try:
            await until(
                engine,
                lambda s: (
                    (u := unit(s.hosts["sys1"], "memcached.service")) and u.health is UnitHealth.STOPPED
                ),
                within=10,
                what="memcached.service stopped",
            )
            await until(
                engine,
                lambda s: (i := instance(s.hosts["sys1"], "memcached")) and i.state is State.DOWN,
                within=10,
                what="memcached down",
            )
        finally:
            await systemd_host.ash("systemctl start memcached")
        await until(
            engine,
            lambda s: (i := instance(s.hosts["sys1"], "memcached")) and i.state is State.UP,
            within=15,
            what="memcached up again",
        )


async def test_a_killed_unit_is_another_when_systemd_started_it_again(
    systemd_host: LabHost, tmp_path: Path
) -> None:
    async with watching(one_host(systemd_host), tmp_path) as engine:
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
            within=15,
            what="memcached.service running anew",
        )
        after = unit(engine.snapshot.hosts["sys1"], "memcached.service")
        assert after is not None
        true = await asyncio.to_thread(truth.services, systemd_host)
        assert after.identity.pid == true["memcached.service"][1]
        assert after.identity.invocation != before.identity.invocation
