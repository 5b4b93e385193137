"""What the login may do: sudo, none, a password for it, withdrawn; root, the services' owner, hidepid."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edxconsole.cluster.model import Link, State
from edxconsole.errors import EdxconsoleError
from edxconsole.logs.model import LogSource
from tests.lab import small, truth
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import Log, small_host, ticks
from tests.lab.watching import instance, ports, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached"), pytest.mark.timeout(120)]

ROOT_KEY = "mkdir -p /root/.ssh && cp /run/lab/authorized_keys /root/.ssh/"
WWW_KEY = """
usermod -s /bin/bash -d /var/www www-data
mkdir -p /var/www/.ssh && cp /run/lab/authorized_keys /var/www/.ssh/ && chown -R www-data /var/www
"""
ASKS = "echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/lab && chmod 440 /etc/sudoers.d/lab"
PRIVATE = "install -m 0640 -g adm /dev/null /var/log/private.log; echo secret >>/var/log/private.log"


@pytest.fixture(scope="module")
def hosts(module_lab: Lab) -> dict[str, LabHost]:
    return module_lab.boot(
        {
            "full": small_host(prepare=PRIVATE),
            "nosudo": small_host(prepare=PRIVATE, sudo=False),
            "asks": small_host(prepare=ASKS, sudo=False, password="secret"),
            "root": small_host(prepare=ROOT_KEY, sshd={"PermitRootLogin": "yes"}),
            "www": small_host(prepare=WWW_KEY, www_data=True, sudo=False),
            "hidden": small_host(prepare="mount -o remount,hidepid=2 /proc"),
        }
    )


async def owners_are_known(host: LabHost, lab: Lab, folder: Path, **changes: Any) -> None:
    async with watching(lab.inventory([host], **changes), folder) as engine:
        await small.is_live(engine, host.name)
        await small.programs_seen(engine, host.name)
        seen = engine.snapshot.hosts[host.name]
        true = await asyncio.to_thread(truth.listeners, host)
        rows = [row for row in seen.listeners if row.proto.startswith("tcp")]
        assert {(row.address, row.port) for row in rows} == set(true)
        for row in rows:
            assert (row.how, row.pid in true[row.address, row.port]) == ("owner", True), row
        assert not [note for note in seen.notes if "sudo" in note]
        before = await asyncio.to_thread(small.pid_of, host)
        await small.restart(engine, host.name)
        assert await asyncio.to_thread(small.pid_of, host) not in (0, before)


async def test_sudo_sees_every_owner(module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path) -> None:
    await owners_are_known(hosts["full"], module_lab, tmp_path)


async def test_root_needs_no_sudo(module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path) -> None:
    await owners_are_known(hosts["root"], module_lab, tmp_path, user="root", become=None)


async def test_sudo_sees_through_hidepid(module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path) -> None:
    await owners_are_known(hosts["hidden"], module_lab, tmp_path)


async def test_sudo_reads_a_log_of_adm(module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path) -> None:
    async with watching(module_lab.inventory([hosts["full"]]), tmp_path) as engine:
        log = Log()
        await engine.follow([LogSource("full", "/var/log/private.log")], log.feed)
        await log.until(lambda g: g.lines("/var/log/private.log") == ["secret"])


@pytest.mark.parametrize("become", ["sudo", None])
@pytest.mark.parametrize("name", ["nosudo", "asks"])
async def test_without_sudo_it_is_unknown_and_the_remedy_is_named(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path, name: str, become: str | None
) -> None:
    """Ports and processes are seen; whose they are, and the programs, are unknown, not down."""
    host = hosts[name]
    async with watching(module_lab.inventory([host], become=become), tmp_path) as engine:
        seen = await small.is_live(engine, name)
        assert {22, 11211} <= ports(seen)
        assert not [i for i in seen.instances if i.state is State.DOWN]
        cache = instance(seen, "memcached")
        assert cache is not None
        assert cache.state is State.UP
        notes = " ".join(seen.notes)
        if become == "sudo":
            assert "sudo -n is refused" in notes
            assert "NOPASSWD" in notes
        else:
            assert "become: sudo" in notes
        assert [s.word for s in seen.supervisors] == ["unreadable"]


async def test_a_log_that_may_not_be_read(module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path) -> None:
    async with watching(module_lab.inventory([hosts["nosudo"]]), tmp_path) as engine:
        log = Log()
        await engine.follow([LogSource("nosudo", "/var/log/private.log")], log.feed)
        await log.until(lambda g: "denied" in g.marks("/var/log/private.log"))
        await asyncio.sleep(1)
        notes = [n for n in engine.snapshot.hosts["nosudo"].notes if "/var/log/private.log" in n]
        assert any("adm" in n for n in notes), notes
        # Once the rights are there, it goes on by itself.
        await hosts["nosudo"].ash("chmod 644 /var/log/private.log")
        await log.until(lambda g: g.lines("/var/log/private.log") == ["secret"])
        await until(
            engine,
            lambda s: not [n for n in s.hosts["nosudo"].notes if "private.log" in n],
            within=30,
            what="the note taken back",
        )
    await hosts["nosudo"].ash("chmod 640 /var/log/private.log")


async def test_sudo_withdrawn_in_the_middle(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path
) -> None:
    """The probe runs on as root; acts are refused with the rule; the next connection says what is missing."""
    host = hosts["full"]
    async with watching(module_lab.inventory([host]), tmp_path) as engine:
        await small.programs_seen(engine, host.name)
        before = await asyncio.to_thread(small.pid_of, host)
        await host.ash("mv /etc/sudoers.d/lab /root/lab")
        try:
            with pytest.raises(EdxconsoleError, match="sudoers"):
                await small.restart(engine, host.name)
            assert await asyncio.to_thread(small.pid_of, host) == before
            assert engine.snapshot.hosts[host.name].link is Link.LIVE
            await host.ash("pkill -f '[s]shd: ops'")
            await until(
                engine,
                lambda s: any("sudo -n is refused" in n for n in s.hosts[host.name].notes),
                within=40,
                what="a note of sudo",
            )
        finally:
            await host.ash("mv /root/lab /etc/sudoers.d/lab")
        await host.ash("pkill -f '[s]shd: ops'")
        await until(
            engine,
            lambda s: not any("sudo" in n for n in s.hosts[host.name].notes),
            within=40,
            what="sudo back",
        )
        await small.programs_seen(engine, host.name)


async def test_the_owner_of_the_services_needs_no_sudo(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path
) -> None:
    host = hosts["www"]
    async with watching(module_lab.inventory([host], user="www-data", become=None), tmp_path) as engine:
        await small.programs_seen(engine, host.name)
        log = Log()
        await engine.follow([ticks(host.name)], log.feed)
        await log.until(lambda g: len(g.lines(ticks(host.name).path)) > 5)
        before = await asyncio.to_thread(small.pid_of, host)
        await small.restart(engine, host.name)
        assert await asyncio.to_thread(small.pid_of, host) not in (0, before)


async def test_hidden_processes_are_said_to_be_hidden(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path
) -> None:
    host = hosts["hidden"]
    async with watching(module_lab.inventory([host], become=None), tmp_path) as engine:
        seen = await small.is_live(engine, host.name)
        assert {p.user for p in seen.processes.values()} == {"ops"}
        assert any("hidepid" in note for note in seen.notes), seen.notes
        assert 11211 in ports(seen)
        cache = instance(seen, "memcached")
        assert cache is None or cache.state is not State.DOWN
