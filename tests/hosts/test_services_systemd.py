"""systemd on a booted test host, over SSH: it is shown as systemctl tells it, acts do what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from edxconsole.cluster.model import Evidence, HostSnapshot, Link
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import (
    ActFailed,
    IdentityDrift,
    NotConfirmed,
    PermissionMissing,
    ServiceFault,
    StreamRefused,
    UnitUnknown,
)
from edxconsole.inventory.model import Inventory
from edxconsole.services.base import ActOutcome, Permit, Verb
from edxconsole.services.registry import InitWatcher
from edxconsole.services.systemd import SystemdManager
from edxconsole.services.systemd_watch import SystemdWatcher
from edxconsole.transport.asyncssh_transport import AsyncsshTransport
from edxconsole.transport.base import Endpoint, SilentPrompter, Stream, Transport
from edxconsole.transport.pool import ConnectionPool
from tests.lab.host import LabHost

pytestmark = [pytest.mark.hosts, pytest.mark.systemd, pytest.mark.timeout(120)]

PATTERNS = ("nginx.service", "memcached.service", "redis*.service", "rescue.service", "nosuch.service")


@pytest.fixture
async def transport(systemd_host: LabHost) -> AsyncIterator[Transport]:
    host = systemd_host.inventory_host()
    made = AsyncsshTransport(host, ConnectionPool(Inventory(hosts={host.name: host}), SilentPrompter()))
    await made.connect()
    yield made
    await made.close()


@pytest.fixture
async def manager(transport: Transport) -> AsyncIterator[SystemdManager]:
    made = SystemdManager(transport, PATTERNS, login="ops")
    yield made
    await made.close()


class Port:
    """What a host session lends a watcher, kept for the test to look at."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.name = transport.host_name
        self.snapshot = HostSnapshot(self.name, 1, Link.LIVE, "", 0.0, user="ops")
        self.units: dict[str, Unit] = {}
        self.reports = 0
        self.notes: dict[str, str | None] = {}
        self.changed = asyncio.Event()
        self._hint = asyncio.Event()

    def report_units(self, manager: str, units: Iterable[Unit], *, at: float) -> None:
        self.units = {unit.name: unit for unit in units}
        self.reports += 1
        self.changed.set()

    def report_health(self, component: str, check: str, evidence: Evidence) -> None:
        raise NotImplementedError

    def report_note(self, source: str, text: str | None) -> None:
        self.notes[source] = text

    async def wait_change(self) -> None:
        await self._hint.wait()
        self._hint.clear()

    def hint(self) -> None:
        self._hint.set()

    async def until(self, name: str, health: UnitHealth) -> Unit:
        async with asyncio.timeout(20):
            while True:
                self.changed.clear()
                unit = self.units.get(name)
                if unit is not None and unit.health is health:
                    return unit
                await self.changed.wait()


async def act(manager: SystemdManager, name: str, verb: Verb, deadline: float = 30.0) -> ActOutcome:
    before = (await manager.observe(name)).identity
    permit = Permit("plan", "sys1", name, verb, before)
    return await manager.act(name, verb, permit=permit, deadline=deadline)


async def said(host: LabHost, unit: str, key: str) -> str:
    return (await host.ash(f"systemctl show -p {key} --value {unit}")).strip()


async def test_units_are_what_systemctl_says(systemd_host: LabHost, manager: SystemdManager) -> None:
    units = {unit.name: unit for unit in await manager.list()}
    assert "nosuch.service" not in units
    assert units["rescue.service"].health is UnitHealth.STOPPED
    for name in ("nginx.service", "memcached.service", "redis-server.service"):
        assert units[name].health is UnitHealth.RUNNING
        assert str(units[name].identity.pid) == await said(systemd_host, name, "MainPID")
        assert units[name].identity.invocation == await said(systemd_host, name, "InvocationID")


async def test_unprivileged_observation_goes_by_dbus(manager: SystemdManager) -> None:
    capabilities = await manager.capabilities()
    assert capabilities.route.startswith("D-Bus")
    assert capabilities.verbs == frozenset(Verb)
    assert capabilities.version.isdigit()


async def test_stop_start_restart_reload(systemd_host: LabHost, manager: SystemdManager) -> None:
    before = await manager.observe("nginx.service")
    await act(manager, "nginx.service", Verb.RELOAD)
    assert (await manager.observe("nginx.service")).identity == before.identity

    await act(manager, "nginx.service", Verb.RESTART)
    restarted = await manager.observe("nginx.service")
    assert restarted.identity.invocation != before.identity.invocation

    await act(manager, "nginx.service", Verb.STOP)
    assert await said(systemd_host, "nginx.service", "ActiveState") == "inactive"
    assert (await act(manager, "nginx.service", Verb.STOP)).already

    await act(manager, "nginx.service", Verb.START)
    assert await said(systemd_host, "nginx.service", "ActiveState") == "active"
    assert (await act(manager, "nginx.service", Verb.START)).already


async def test_drift_wrong_permit_and_wrong_names_change_nothing(manager: SystemdManager) -> None:
    now = (await manager.observe("memcached.service")).identity
    for before in (
        Identity(),
        Identity(now.pid, now.start, "0" * 32),
        Identity(1, now.start, now.invocation),
    ):
        permit = Permit("plan", "sys1", "memcached.service", Verb.RESTART, before)
        with pytest.raises(IdentityDrift):
            await manager.act("memcached.service", Verb.RESTART, permit=permit, deadline=5)
    with pytest.raises(NotConfirmed):
        await manager.act(
            "nginx.service",
            Verb.STOP,
            permit=Permit("plan", "sys1", "memcached.service", Verb.STOP, now),
            deadline=5,
        )
    for name in ("*", "nosuch.service", "--all", "a b", ""):
        with pytest.raises(UnitUnknown):
            await act(manager, name, Verb.STOP)
    assert (await manager.observe("memcached.service")).identity == now


async def test_what_cannot_reload_is_told(manager: SystemdManager) -> None:
    with pytest.raises(ServiceFault, match="has no reload"):
        await act(manager, "memcached.service", Verb.RELOAD)


async def test_a_unit_that_fails_is_an_act_that_failed(
    systemd_host: LabHost, manager: SystemdManager
) -> None:
    unit = "[Service]\\nType=oneshot\\nExecStart=/bin/sh -c 'exit 7'\\n"
    await systemd_host.ash(f'printf "{unit}" >/run/systemd/system/bad.service; systemctl daemon-reload')
    with pytest.raises(ActFailed, match=r"failed \(failed\), exit-code, exit status 7"):
        await act(manager, "bad.service", Verb.START)
    assert "bad.service" in {unit.name for unit in await manager.list()}, "a failed service is always listed"
    await systemd_host.ash(
        "rm /run/systemd/system/bad.service; systemctl daemon-reload; systemctl reset-failed"
    )


async def test_kill_mode_none_is_not_restarted_and_a_changed_file_is_told(
    systemd_host: LabHost, manager: SystemdManager
) -> None:
    unit = "[Service]\\nExecStart=/bin/sleep 1000\\nKillMode=none\\n"
    path = "/run/systemd/system/odd.service"
    await systemd_host.ash(f'printf "{unit}" >{path}; systemctl daemon-reload; systemctl start odd')
    with pytest.raises(ServiceFault, match="KillMode=none"):
        await act(manager, "odd.service", Verb.RESTART)
    await systemd_host.ash(f"touch -d '+1 minute' {path}")
    assert "daemon-reload" in (await manager.observe("odd.service")).detail
    pid = (await manager.observe("odd.service")).identity.pid
    await systemd_host.ash(f"systemctl stop odd; kill {pid}; rm {path}; systemctl daemon-reload")


async def test_a_job_longer_than_the_deadline_goes_on(systemd_host: LabHost, manager: SystemdManager) -> None:
    unit = "[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sleep 4\\n"
    path = "/run/systemd/system/long.service"
    await systemd_host.ash(f'printf "{unit}" >{path}; systemctl daemon-reload')
    with pytest.raises(ActFailed, match="goes on there"):
        await act(manager, "long.service", Verb.START, deadline=1.0)
    assert (await manager.observe("long.service")).health is UnitHealth.STARTING
    await systemd_host.ash(f"systemctl stop long; rm {path}; systemctl daemon-reload")


async def test_without_sudo_the_rule_is_named(systemd_host: LabHost, manager: SystemdManager) -> None:
    await systemd_host.ash("mv /etc/sudoers.d/lab /root/lab")
    try:
        capabilities = await manager.capabilities()
        assert capabilities.verbs == frozenset()
        with pytest.raises(PermissionMissing) as refusal:
            await act(manager, "memcached.service", Verb.RESTART)
        assert "ops ALL=(root) NOPASSWD: /" in str(refusal.value)
        assert "systemctl restart memcached.service" in str(refusal.value)
    finally:
        await systemd_host.ash("mv /root/lab /etc/sudoers.d/lab")


async def test_a_killed_service_is_seen_by_signal(systemd_host: LabHost, transport: Transport) -> None:
    port = Port(transport)
    watching = asyncio.create_task(InitWatcher(PATTERNS, ()).run(port))
    try:
        before = await port.until("nginx.service", UnitHealth.RUNNING)
        await systemd_host.ash("systemctl kill -s KILL nginx")
        await port.until("nginx.service", UnitHealth.FAILED)
        await systemd_host.ash("systemctl start nginx")
        after = await port.until("nginx.service", UnitHealth.RUNNING)
        assert after.identity.invocation != before.identity.invocation
        assert port.notes == {"systemd": None}
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def test_reading_a_stopped_unit_does_not_wake_the_watcher_for_ever(transport: Transport) -> None:
    port = Port(transport)
    watching = asyncio.create_task(SystemdWatcher(PATTERNS).run(port))
    try:
        await port.until("rescue.service", UnitHealth.STOPPED)
        await asyncio.sleep(3)
        assert port.reports <= 2
    finally:
        watching.cancel()
        await asyncio.wait({watching})


class NoStreams:
    """A transport whose host lets no stream be opened, as with AllowStreamLocalForwarding no."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        raise StreamRefused("administratively prohibited", host=self._transport.host_name)


async def test_without_dbus_systemctl_show_tells_the_same(
    transport: Transport, manager: SystemdManager
) -> None:
    port = Port(NoStreams(transport))  # type: ignore[arg-type]
    watching = asyncio.create_task(SystemdWatcher(PATTERNS).run(port))
    try:
        shown = await port.until("nginx.service", UnitHealth.RUNNING)
        by_bus = await manager.observe("nginx.service")
        assert (shown.identity, shown.word) == (by_bus.identity, by_bus.word)
        assert "nosuch.service" not in port.units
        assert "administratively prohibited" in (port.notes["systemd"] or "")
    finally:
        watching.cancel()
        await asyncio.wait({watching})
