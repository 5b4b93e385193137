"""Hosts that are away: they hold up nobody, cost no processes, and are back soon after they return."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Link
from edxconsole.engine import Engine
from edxconsole.inventory.model import Host, Inventory
from tests.hosts.engine_watch import CATALOG, Watched, watched
from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("ssh", "socat", "iptables")]

NOISE = 3.0
"""seconds a busy test machine may add to what takes 3 s"""


def seconds(back: float, way: str) -> None:
    print(f"{way}: live again after {back:.2f} s")
    assert back < 3 + NOISE


def blackholed(like: Host, count: int, **changes: Any) -> dict[str, Host]:
    """Hosts at an address whose machine swallows every packet."""
    made = (replace(like, name=f"dead{i}", port=2000 + i, **changes) for i in range(count))
    return {host.name: host for host in made}


async def all_live(inventory: Inventory, names: set[str], folder: Path) -> float:
    began = time.monotonic()
    async with Engine(inventory, CATALOG, journal=folder / "journal") as engine:
        await Watched(engine).until(lambda s: all(s.hosts[n].link is Link.LIVE for n in names), 40)
        return time.monotonic() - began


@pytest.mark.timeout(150)
@pytest.mark.parametrize("way", ["direct", "jumped"])
async def test_forty_dead_hosts_delay_no_good_one(way: str, lab: Lab, tmp_path: Path) -> None:
    gate, dead, *good = lab.hosts(5)
    await asyncio.to_thread(dead.drop)
    jump = {"jump": gate.name} if way == "jumped" else {}
    hosts = {gate.name: gate.inventory_host()}
    names = {gate.name}
    for i in range(10):
        host = good[i % len(good)].inventory_host(name=f"good{i}", **jump)
        hosts[host.name] = host
        names.add(host.name)
    alone = await all_live(Inventory(hosts=hosts), names, tmp_path)
    crowd = blackholed(dead.inventory_host(**jump), 40) | hosts
    crowded = await all_live(Inventory(hosts=crowd), names, tmp_path)
    print(f"{way}: ten good hosts live after {alone:.2f} s alone, {crowded:.2f} s among forty dead ones")
    assert crowded < 2 * alone + NOISE


@pytest.mark.timeout(150)
async def test_a_lost_host_behind_a_jump_host_returns(lab: Lab, tmp_path: Path) -> None:
    gate, behind = lab.hosts(2)
    inventory = Inventory(
        hosts={
            gate.name: gate.inventory_host(),
            "behind": behind.inventory_host(name="behind", jump=gate.name),
        }
    )
    async with watched(inventory, tmp_path) as live:
        seconds(await away(live, "behind", behind, 9), "behind a jump host")
        seconds(await away(live, "behind", gate, 6), "behind a jump host that was away itself")


@pytest.mark.timeout(150)
async def test_a_lost_host_behind_a_proxy_command_returns(lab: Lab, tmp_path: Path) -> None:
    host = lab.host()
    config = tmp_path / "config"
    config.write_text(f"Host {host.address}\n ProxyCommand exec socat - TCP:%h:%p\n")
    proxied = host.inventory_host(name="proxied", ssh_config=config)
    async with watched(Inventory(hosts={"proxied": proxied}), tmp_path) as live:
        seconds(await away(live, "proxied", host, 9), "behind a ProxyCommand")


async def away(live: Watched, name: str, machine: LabHost, pause: float) -> float:
    """Lose a machine until the host is lost, and for a while longer; seconds until it is live again."""
    await asyncio.to_thread(machine.drop)
    try:
        await live.until(lambda s: s.hosts[name].link is Link.LOST, 20)
        await asyncio.sleep(pause)
    finally:
        await asyncio.to_thread(machine.undrop)
    return await live.until(lambda s: s.hosts[name].link is Link.LIVE, 30)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["asyncssh", "paramiko"])
async def test_hosts_behind_a_dead_jump_host_name_it(kind: str, lab: Lab, tmp_path: Path) -> None:
    gate, behind = lab.hosts(2)
    hosts = [
        gate.inventory_host(),
        *(behind.inventory_host(name=f"b{i}", jump=gate.name, transport=kind) for i in range(3)),
    ]
    inventory = Inventory(hosts={h.name: h for h in hosts})
    said: dict[str, str] = {}

    def told(snapshot: ClusterSnapshot) -> bool:
        for name in ("b0", "b1", "b2"):
            host = snapshot.hosts[name]
            if host.link is Link.LOST and host.reason.startswith(f"jump host {gate.name}: "):
                said.setdefault(name, host.reason)
        return len(said) == 3

    async with watched(inventory, tmp_path) as live:
        await gate.ash(
            "iptables -I INPUT -p tcp --dport 22 --syn -j REJECT --reject-with tcp-reset;"
            " pkill -f '[s]shd: ops'"
        )
        await live.until(told, 15)
        said.clear()
        await live.until(told, 15)
        await asyncio.sleep(2)
        assert all("refused the connection" in live.host(n).reason for n in said), live.describe()
        await asyncio.to_thread(gate.accept_ssh)
        await live.until(lambda s: all(h.link is Link.LIVE for h in s.hosts.values()), 20)


async def test_a_host_in_backoff_costs_no_process_each_time(lab: Lab, tmp_path: Path) -> None:
    host = lab.host()
    await asyncio.to_thread(host.refuse_ssh)
    log = tmp_path / "asked"
    config = tmp_path / "config"
    config.write_text("Include more\n")
    (tmp_path / "more").write_text("")
    tool = tmp_path / "bin" / "ssh"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec /usr/bin/ssh "$@"\n')
    tool.chmod(0o755)
    refused = host.inventory_host(ssh_config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tool.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
        async with Engine(Inventory(hosts={host.name: refused}), CATALOG, journal=tmp_path / "j") as engine:
            live = Watched(engine)
            await live.until(lambda s: s.hosts[host.name].link is Link.BACKOFF)
            await asyncio.sleep(6)
            assert live.session(host.name).attempts > 5
            assert len((await asyncio.to_thread(log.read_text)).splitlines()) == 1
            await asyncio.to_thread(host.accept_ssh)
            await live.until(lambda s: s.hosts[host.name].link is Link.LIVE)
