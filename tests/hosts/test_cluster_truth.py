"""What the model says of the Open edX cluster is what `ss`, `ps` and `supervisorctl` say on its hosts."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link, State
from edxconsole.cluster.units import UnitHealth
from tests.lab import truth
from tests.lab.cluster import EXPECT, SERVICES, LabCluster
from tests.lab.watching import instance, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root]


def listed(host: HostSnapshot) -> set[tuple[str, int]]:
    """TCP listeners as (address, port)."""
    return {(row.address, row.port) for row in host.listeners if row.proto.startswith("tcp")}


def lists(host: str, wanted: set[tuple[str, int]], snapshot: ClusterSnapshot) -> bool:
    return listed(snapshot.hosts[host]) == wanted


async def test_every_host_is_live_and_named(cluster: LabCluster, tmp_path: Path) -> None:
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host in cluster.hosts:
            seen = engine.snapshot.hosts[host.name]
            assert seen.link is Link.LIVE, seen.reason
            assert seen.trusted
            assert seen.hostname == host.name
            assert seen.user == "ops"


async def test_listeners_are_what_ss_says(cluster: LabCluster, tmp_path: Path) -> None:
    """All of them, with an owner that `ss` names too."""
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host in cluster.hosts:
            true = await asyncio.to_thread(truth.listeners, host)
            await until(
                engine,
                partial(lists, host.name, set(true)),
                within=40,
                what=f"on {host.name} {sorted(true)}, not {sorted(listed(engine.snapshot.hosts[host.name]))}",
            )
            for row in engine.snapshot.hosts[host.name].listeners:
                if row.proto.startswith("tcp"):
                    assert row.how == "owner", row
                    assert row.pid in true[row.address, row.port], row


async def test_processes_are_what_ps_says(cluster: LabCluster, tmp_path: Path) -> None:
    """All that live long enough to be asked about twice, with their parent, user, name and command."""
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host in cluster.hosts:
            before = await asyncio.to_thread(truth.processes, host)
            await asyncio.sleep(1.5)
            seen = engine.snapshot.hosts[host.name].processes
            after = await asyncio.to_thread(truth.processes, host)
            steady = {pid for pid in before if after.get(pid) == before[pid]}
            assert len(steady) >= 3
            for pid in steady:
                true, process = before[pid], seen[pid]
                assert (process.ppid, process.user, process.comm) == (true.ppid, true.user, true.comm)
                assert process.argv[:2] == tuple(true.args.split()[:2]) or " " in process.argv[0]
            invented = set(seen) - set(before) - set(after)
            assert all(seen[pid].comm in {"sh", "ps", "ss", "sleep", "sudo"} for pid in invented), invented


async def test_programs_are_what_supervisorctl_says(cluster: LabCluster, tmp_path: Path) -> None:
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host in (cluster.app1, cluster.app2):
            true = await asyncio.to_thread(truth.programs, host)
            units = {
                u.name: u for u in engine.snapshot.hosts[host.name].units.values() if u.kind == "supervisor"
            }
            assert {name: (u.word, u.identity.pid or None) for name, u in units.items()} == {
                name: (program.word, program.pid) for name, program in true.items()
            }
            assert units["lms"].health is UnitHealth.RUNNING
            assert units["lms"].log_paths[-1] == "/edx/var/log/supervisor/lms-stderr.log"


async def test_sysv_scripts_are_what_service_says(cluster: LabCluster, tmp_path: Path) -> None:
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host, names in ((cluster.web, ("nginx",)), (cluster.data, SERVICES["data"])):
            true = await asyncio.to_thread(truth.scripts, host, names)
            await until(
                engine,
                partial(has_scripts, host.name, set(names)),
                within=30,
                what=f"the init scripts of {host.name}",
            )
            seen = {u.name: u for u in engine.snapshot.hosts[host.name].units.values() if u.kind == "sysv"}
            assert {name: seen[name].health is UnitHealth.RUNNING for name in names} == {
                name: status == 0 for name, status in true.items()
            }
            assert all(seen[name].identity.pid for name, status in true.items() if status == 0), seen


def has_scripts(host: str, names: set[str], snapshot: ClusterSnapshot) -> bool:
    return names <= {u.name for u in snapshot.hosts[host].units.values() if u.kind == "sysv"}


async def test_every_expected_component_is_up(cluster: LabCluster, tmp_path: Path) -> None:
    """Where it is expected, with the ports and workers it really has."""
    async with watching(cluster.inventory(), tmp_path) as engine:
        for place, components in EXPECT.items():
            for name in ("app1", "app2") if place == "app" else (place,):
                for component in components:
                    await until(
                        engine,
                        partial(is_up, name, component),
                        within=30,
                        what=f"{component} up on {name}",
                    )
        lms = instance(engine.snapshot.hosts["app1"], "lms")
        assert lms is not None
        assert lms.workers_found == 4
        assert 8000 in lms.ports
        nginx = instance(engine.snapshot.hosts["web"], "nginx")
        assert nginx is not None
        assert {80, 18010, 18040, 18080, 18090} <= set(nginx.ports)


def is_up(host: str, component: str, snapshot: ClusterSnapshot) -> bool:
    found = instance(snapshot.hosts[host], component)
    return found is not None and found.state is State.UP


async def test_vitals_are_what_the_host_says(cluster: LabCluster, tmp_path: Path) -> None:
    """Memory and disk of /proc/meminfo and df; load within what a moment changes."""
    async with watching(cluster.inventory(), tmp_path) as engine:
        for host in cluster.hosts:
            vitals = engine.snapshot.hosts[host.name].vitals
            assert vitals is not None
            meminfo = dict(line.split(":") for line in (await host.ash("cat /proc/meminfo")).splitlines())
            assert vitals.mem_total == int(meminfo["MemTotal"].split()[0])
            root = next(disk for disk in vitals.disks if disk.mount == "/")
            assert root.total == int((await host.ash("df -k --output=size / | tail -n 1")).strip())
            load = float((await host.ash("cat /proc/loadavg")).split()[0])
            assert abs(vitals.load[0] - load) < 2


async def test_without_sudo_owners_are_not_made_up(cluster: LabCluster, tmp_path: Path) -> None:
    """A login that may not sudo sees processes and ports; whose ports they are it can't know."""
    async with watching(cluster.lab.inventory([cluster.data], become=None), tmp_path) as engine:
        host = engine.snapshot.hosts["data"]
        assert host.link is Link.LIVE
        assert listed(host) == set(await asyncio.to_thread(truth.listeners, cluster.data))
        assert not [row for row in host.listeners if row.how == "owner"]


async def test_without_sudo_what_cannot_be_seen_is_said(cluster: LabCluster, tmp_path: Path) -> None:
    """With the remedy."""
    async with watching(cluster.lab.inventory([cluster.app2], become=None), tmp_path) as engine:
        notes = engine.snapshot.hosts["app2"].notes
        owners = [n for n in notes if "which process has another user's port" in n]
        assert len(owners) == 1, notes
        assert "become: sudo" in owners[0]
        programs = [n for n in notes if "/edx/var/supervisor/supervisor.sock" in n]
        assert len(programs) == 1, notes
        assert "ops ALL=(root) NOPASSWD: /usr/bin/python3" in programs[0]
        lms = instance(engine.snapshot.hosts["app2"], "lms")
        assert lms is not None
        assert not lms.units
        assert any("supervisord can't be read" in e.text for e in lms.evidence), lms
        assert not any("no manager seen" in e.text for e in lms.evidence), lms
        held = [e.text for e in lms.evidence if e.source == "listener"]
        assert held
        assert all("as it seems" in text or "held by user" in text for text in held), held
