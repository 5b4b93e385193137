"""supervisord, gunicorn and init scripts on the test cluster, over SSH as a user who may sudo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from edxconsole.cluster.model import Process
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.errors import (
    ActFailed,
    EdxconsoleError,
    IdentityDrift,
    PermissionMissing,
    ServiceUnavailable,
    UnitUnknown,
)
from edxconsole.inventory.model import Inventory
from edxconsole.services.base import ActOutcome, Permit, ServiceManager, Verb
from edxconsole.services.hup import find_master, hup_master
from edxconsole.services.supervisor import SupervisorManager, SupervisorPlace
from edxconsole.services.sysv import ScriptReader, SysvManager
from edxconsole.transport.asyncssh_transport import AsyncsshTransport
from edxconsole.transport.base import SilentPrompter, Transport
from edxconsole.transport.pool import ConnectionPool
from tests.lab import truth
from tests.lab.cluster import LabCluster
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.old import status
from tests.unit.services.waiting import eventually

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(180)]

SOCKET = "unix:/edx/var/supervisor/supervisor.sock"
CONFIG = "/edx/app/supervisor/supervisord.conf"
LMS_MASTER = r"gunicorn.*lms"
Connect = Callable[[LabHost], Awaitable[Transport]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to hosts, as ops; closes the connections after the test."""
    made: list[Transport] = []

    async def to(host: LabHost) -> Transport:
        entry = host.inventory_host()
        transport = AsyncsshTransport(
            entry, ConnectionPool(Inventory(hosts={entry.name: entry}), SilentPrompter())
        )
        made.append(transport)
        await transport.connect()
        return transport

    yield to
    for transport in made:
        await transport.close()


def supervisor(transport: Transport, endpoint: str = SOCKET) -> SupervisorManager:
    return SupervisorManager(transport, SupervisorPlace("supervisor:x", endpoint, "www-data", CONFIG))


async def act(manager: ServiceManager, host: LabHost, name: str, verb: Verb) -> ActOutcome:
    before = (await manager.observe(name)).identity
    permit = Permit("plan", host.name, name, verb, before)
    return await manager.act(name, verb, permit=permit, deadline=40)


async def processes(host: LabHost) -> dict[int, Process]:
    """The host's processes as the probe would tell them."""
    text = await host.ash(
        "for d in /proc/[0-9]*; do p=${d#/proc/}; s=$(cat $d/stat 2>/dev/null) || continue;"
        " set -f; set -- ${s##*) }; set +f;"
        " echo $p $2 ${20} $(stat -c %U $d) $(tr '\\000' ' ' <$d/cmdline); done"
    )
    found = {}
    for line in text.splitlines():
        pid, ppid, start, user, *argv = line.split()
        found[int(pid)] = Process(
            int(pid), int(start), 0.0, int(ppid), 0, user, "", tuple(argv), "S", 0.0, 0, 1
        )
    return found


async def test_the_open_port_of_stock_edx_needs_no_sudo(cluster: LabCluster, connect: Connect) -> None:
    manager = supervisor(await connect(cluster.app1), "tcp:127.0.0.1:9001")
    capabilities = await manager.capabilities()
    assert capabilities.route == "127.0.0.1:9001 (direct-tcpip)"
    assert any("no password" in warning for warning in capabilities.warnings)
    shown = {unit.name: unit.word for unit in await manager.list()}
    assert shown == await said(cluster, cluster.app1)


async def said(cluster: LabCluster, host: LabHost) -> dict[str, str]:
    text = await host.ash("/edx/bin/supervisorctl status || true")
    return {parts[0]: parts[1] for line in text.splitlines() if len(parts := line.split()) >= 2}


async def test_a_socket_of_www_data_is_reached_by_sudo(cluster: LabCluster, connect: Connect) -> None:
    manager = supervisor(await connect(cluster.app2))
    assert {unit.name: unit.word for unit in await manager.list()} == await said(cluster, cluster.app2)
    assert "sudo" in manager.route


async def test_without_sudo_the_remedy_is_told(cluster: LabCluster, connect: Connect) -> None:
    await cluster.app2.ash("mv /etc/sudoers.d/lab /root/lab")
    try:
        manager = supervisor(await connect(cluster.app2))
        with pytest.raises(ServiceUnavailable, match="sudoers"):
            await manager.list()
    finally:
        await cluster.app2.ash("mv /root/lab /etc/sudoers.d/lab")


@pytest.mark.parametrize("app", ["app1", "app2"])
async def test_restart_of_a_real_lms_gives_a_new_gunicorn(
    cluster: LabCluster, connect: Connect, app: str
) -> None:
    host: LabHost = getattr(cluster, app)
    manager = supervisor(await connect(host))
    before = await manager.observe("lms")
    await act(manager, host, "lms", Verb.RESTART)
    after = await manager.observe("lms")
    assert after.health is UnitHealth.RUNNING
    assert after.identity.pid != before.identity.pid
    assert (await said(cluster, host))["lms"] == "RUNNING"


async def test_a_restart_whose_ssh_connection_is_killed_is_finished_on_the_host(
    cluster: LabCluster, connect: Connect
) -> None:
    host = cluster.app1
    manager = supervisor(await connect(host), "tcp:127.0.0.1:9001")
    before = (await manager.observe("lms")).identity
    # A stopped process takes no TERM, so it is STOPPING until supervisord kills it after 10 s.
    await host.ash(f"kill -STOP {before.pid}")
    permit = Permit("plan", host.name, "lms", Verb.RESTART, before)
    phases: list[str] = []
    restart = asyncio.create_task(
        manager.act("lms", Verb.RESTART, permit=permit, deadline=60, on_phase=phases.append)
    )

    async def stopping() -> bool:
        return (await said(cluster, host))["lms"] == "STOPPING"

    await eventually(stopping)
    await host.ash("pkill -KILL -u ops sshd")
    outcome = (await asyncio.gather(restart, return_exceptions=True))[0]
    assert isinstance(outcome, EdxconsoleError)
    assert phases == ["stopping"]

    async def running() -> bool:
        return (await said(cluster, host))["lms"] == "RUNNING"

    await eventually(running, 40)
    again = supervisor(await connect(host), "tcp:127.0.0.1:9001")
    assert (await again.observe("lms")).identity.pid != before.pid
    assert await host.ash("pgrep -f 'its console left half don[e]' || true") == ""


class ByKill:
    """The same manager, which supervisord can't be asked through: the signal goes by kill."""

    def __init__(self, manager: SupervisorManager) -> None:
        self._manager = manager
        self.id = manager.id

    async def observe(self, name: str) -> Unit:
        return await self._manager.observe(name)


@pytest.mark.parametrize("way", ["supervisord", "kill"])
async def test_reload_of_a_real_lms_keeps_the_master_and_replaces_the_workers(
    cluster: LabCluster, connect: Connect, way: str
) -> None:
    host = cluster.app1
    transport = await connect(host)
    manager = supervisor(transport)
    before = await processes(host)
    unit = await manager.observe("lms")
    master = find_master(before, unit, LMS_MASTER)
    permit = Permit("plan", host.name, "lms", Verb.RELOAD, unit.identity)
    through = manager if way == "supervisord" else ByKill(manager)
    outcome = await hup_master(
        transport,
        through,  # type: ignore[arg-type]
        "lms",
        master,
        LMS_MASTER,
        permit=permit,
        login="ops",
    )
    assert outcome.detail == f"SIGHUP to {master.pid} by {way}"
    old = {pid for pid, process in before.items() if process.ppid == master.pid}

    async def replaced() -> bool:
        now = await processes(host)
        workers = {pid for pid, process in now.items() if process.ppid == master.pid}
        return bool(workers) and not workers & old and now[master.pid].identity == master.identity

    await eventually(replaced, 40)
    assert (await manager.observe("lms")).identity == unit.identity


async def test_a_hup_without_sudo_names_the_rule(cluster: LabCluster, connect: Connect) -> None:
    host = cluster.app1
    await host.ash("mv /etc/sudoers.d/lab /root/lab")
    try:
        transport = await connect(host)
        manager = supervisor(transport, "tcp:127.0.0.1:9001")
        unit = await manager.observe("lms")
        master = find_master(await processes(host), unit, LMS_MASTER)
        permit = Permit("plan", host.name, "lms", Verb.RELOAD, unit.identity)
        with pytest.raises(PermissionMissing, match=r"ops ALL=\(www-data\) NOPASSWD: /bin/kill -HUP"):
            await hup_master(
                transport,
                ByKill(manager),  # type: ignore[arg-type]
                "lms",
                master,
                LMS_MASTER,
                permit=permit,
                login="ops",
            )
    finally:
        await host.ash("mv /root/lab /etc/sudoers.d/lab")


async def test_old_supervisors_over_ssh(old_supervisor: LabHost, connect: Connect) -> None:
    manager = supervisor(await connect(old_supervisor))
    shown = {unit.name: unit.word for unit in await manager.list()}
    assert shown == await asyncio.to_thread(status, old_supervisor)
    before = await manager.observe("edxapp:lms")
    other = await manager.observe("edxapp:cms")
    await act(manager, old_supervisor, "edxapp:lms", Verb.RESTART)
    after = await manager.observe("edxapp:lms")
    assert after.health is UnitHealth.RUNNING
    assert after.identity != before.identity
    assert (await manager.observe("edxapp:cms")).identity == other.identity
    assert any("CVE-2017-11610" in warning for warning in (await manager.capabilities()).warnings)


async def test_an_init_script_is_started_stopped_restarted_and_reloaded(lab: Lab, connect: Connect) -> None:
    host = lab.host("web9", services=["nginx", "memcached"])
    manager = SysvManager(await connect(host), ("nginx", "memcached"), login="ops", become="sudo")
    assert {unit.name: unit.health for unit in await manager.list()} == {
        "nginx": UnitHealth.STOPPED,
        "memcached": UnitHealth.STOPPED,
    }
    await act(manager, host, "nginx", Verb.START)
    started = await manager.observe("nginx")
    assert started.health is UnitHealth.RUNNING
    assert str(started.identity.pid) == (await host.ash("cat /run/nginx.pid")).strip()
    assert (await act(manager, host, "nginx", Verb.START)).already

    await act(manager, host, "nginx", Verb.RELOAD)
    assert (await manager.observe("nginx")).identity == started.identity
    await act(manager, host, "nginx", Verb.RESTART)
    restarted = await manager.observe("nginx")
    assert restarted.identity != started.identity

    permit = Permit("plan", host.name, "nginx", Verb.STOP, started.identity)
    with pytest.raises(IdentityDrift):
        await manager.act("nginx", Verb.STOP, permit=permit, deadline=20)
    await act(manager, host, "nginx", Verb.STOP)
    assert (await manager.observe("nginx")).health is UnitHealth.STOPPED
    assert (await act(manager, host, "nginx", Verb.STOP)).already
    for name in ("nosuch", "*", "../passwd", "nginx;reboot", ""):
        with pytest.raises(UnitUnknown):
            await manager.observe(name)


async def test_an_init_script_that_fails_is_told(lab: Lab, connect: Connect) -> None:
    host = lab.host("web8", services=["nginx"])
    await host.ash("echo 'broken {' >/etc/nginx/conf.d/broken.conf")
    manager = SysvManager(await connect(host), ("nginx",), login="ops", become="sudo")
    with pytest.raises(ActFailed, match="service nginx start: exit status 1, now stopped"):
        await act(manager, host, "nginx", Verb.START)


async def test_an_init_script_without_sudo_names_the_rule(lab: Lab, connect: Connect) -> None:
    host = lab.host("web7", sudo=False, services=["memcached"])
    manager = SysvManager(await connect(host), ("memcached",), login="ops")
    assert (await manager.capabilities()).verbs == frozenset()
    with pytest.raises(PermissionMissing, match=r"NOPASSWD: \S*/service memcached start"):
        await act(manager, host, "memcached", Verb.START)


async def test_each_init_script_is_asked_as_root_where_sudo_allows_that_one(
    lab: Lab, connect: Connect
) -> None:
    """Debian's Redis calls itself dead, and MariaDB stopped, to a login that may not read their files."""
    host = lab.host("data9", sudo=False, services=["memcached", "redis-server"])
    await host.ash("chown -R redis:redis /var/lib/redis /var/log/redis; service redis-server start")
    transport = await connect(host)
    names = ("redis-server", "memcached")
    true = await asyncio.to_thread(truth.scripts, host, names)
    assert true == {"redis-server": 0, "memcached": 3}

    async def states(become: str | None) -> dict[str, UnitHealth]:
        manager = SysvManager(transport, names, login="ops", become=become)
        return {unit.name: unit.health for unit in await manager.list()}

    unknown = dict.fromkeys(names, UnitHealth.UNKNOWN)
    assert await states(None) == unknown
    assert await states("sudo") == unknown
    reader = ScriptReader(transport, "sudo")
    await reader.read(names)
    assert reader.note() == (
        "Only root is told by their init scripts whether memcached and redis-server run; "
        "add to sudoers: ops ALL=(root) NOPASSWD: "
        "/usr/sbin/service memcached status, /usr/sbin/service redis-server status."
    )

    await host.ash(
        "echo 'ops ALL=(root) NOPASSWD: /usr/sbin/service redis-server status' >/etc/sudoers.d/one"
    )
    assert await states(None) == unknown
    assert await states("sudo") == {
        "redis-server": UnitHealth.RUNNING,
        "memcached": UnitHealth.UNKNOWN,
    }
    redis = await SysvManager(transport, names, login="ops", become="sudo").observe("redis-server")
    assert str(redis.identity.pid) == (await host.ash("pgrep -x redis-server")).strip()
