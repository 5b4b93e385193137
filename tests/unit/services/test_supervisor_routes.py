"""Ways to a supervisord, passwords, and a supervisord that goes away in the middle: a real 4.3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edxconsole.cluster.units import Identity, UnitHealth
from edxconsole.errors import PermissionMissing, ServiceUnavailable
from edxconsole.services.base import ActOutcome, Permit, Verb
from edxconsole.services.supervisor import SupervisorManager, SupervisorPlace
from edxconsole.transport.base import ConnectionInfo, TcpEndpoint, UnixEndpoint
from tests.unit.services.daemon import Daemon, free_port
from tests.unit.services.here import Here
from tests.unit.services.waiting import eventually

PASSWORD = "username=ed\npassword=s3cret"


@pytest.fixture
async def closing() -> AsyncIterator[list[SupervisorManager]]:
    """Managers to close after the test."""
    managers: list[SupervisorManager] = []
    yield managers
    for manager in managers:
        await manager.close()


def open_port(daemon: Daemon, auth: str = "") -> TcpEndpoint:
    port = free_port()
    daemon.inet = f"[inet_http_server]\nport=127.0.0.1:{port}\n{auth}"
    return TcpEndpoint("127.0.0.1", port)


async def test_the_tcp_port_is_used_when_the_socket_is_refused(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    tcp = open_port(daemon)
    daemon.start()
    here.refuse = {UnixEndpoint(str(daemon.socket)), UnixEndpoint(str(daemon.socket), "root")}
    closing.append(manager := SupervisorManager(here, daemon.place))
    capabilities = await manager.capabilities()
    assert capabilities.route.startswith(str(tcp))
    assert f"{tcp} has no password: any local user can control these programs" in capabilities.warnings


async def test_another_supervisord_on_the_port_is_not_taken_for_ours(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    open_port(daemon)
    daemon.start()
    here.refuse = {UnixEndpoint(str(daemon.socket)), UnixEndpoint(str(daemon.socket), "root")}
    place = replace(daemon.place, pid=daemon.pid + 1)
    closing.append(manager := SupervisorManager(here, place))
    with pytest.raises(ServiceUnavailable, match="can't be reached"):
        await manager.list()


async def test_a_password_is_read_from_the_configuration_when_asked_for(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    daemon.unix_auth = PASSWORD
    daemon.start()
    closing.append(manager := SupervisorManager(here, daemon.place))
    assert len(await manager.list()) > 5
    assert not [w for w in (await manager.capabilities()).warnings if "password" in w]
    assert not any("s3cret" in word for _, argv in here.ran for word in argv)


async def test_without_a_readable_password_the_remedy_is_told(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    daemon.unix_auth = PASSWORD
    daemon.start()
    closing.append(manager := SupervisorManager(here, replace(daemon.place, config="/nonexistent.conf")))
    with pytest.raises(PermissionMissing, match=r"let the login user read /nonexistent\.conf"):
        await manager.list()


async def test_no_supervisord_at_all(here: Here, tmp_path: Path, closing: list[SupervisorManager]) -> None:
    place = SupervisorPlace("supervisor:x", f"unix:{tmp_path}/none.sock")
    closing.append(manager := SupervisorManager(here, place))
    with pytest.raises(ServiceUnavailable, match="supervisord can't be reached"):
        await manager.list()


async def test_a_closed_connection_is_opened_again_unseen(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    daemon.start()
    closing.append(manager := SupervisorManager(here, daemon.place))
    await manager.list()
    for writer in here.writers:
        writer.close()
    assert (await manager.observe("lms")).name == "lms"


def begin(manager: SupervisorManager, name: str, verb: Verb, before: Identity) -> asyncio.Task[ActOutcome]:
    permit = Permit("plan", "here", name, verb, before)
    return asyncio.create_task(manager.act(name, verb, permit=permit, deadline=40))


async def is_(manager: SupervisorManager, name: str, health: UnitHealth) -> bool:
    try:
        return (await manager.observe(name)).health is health
    except ServiceUnavailable:
        return False


async def test_a_supervisord_that_restarts_in_the_middle_of_an_act_is_told(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    daemon.slow = 30.0
    daemon.start()
    closing.append(manager := SupervisorManager(here, replace(daemon.place, pid=None)))
    await eventually(lambda: is_(manager, "slow", UnitHealth.RUNNING))
    await asyncio.sleep(0.5)
    before = (await manager.observe("slow")).identity
    act = begin(manager, "slow", Verb.RESTART, before)
    other = SupervisorManager(here, replace(daemon.place, pid=None))
    closing.append(other)
    await eventually(lambda: is_(other, "slow", UnitHealth.STOPPING))
    await asyncio.to_thread(daemon.restart)
    outcome = await asyncio.wait_for(asyncio.gather(act, return_exceptions=True), 30)
    # The new supervisord starts it by itself: ours was not what did it, and that is said.
    assert "started again by something else" in str(outcome[0])
    assert await is_(manager, "slow", UnitHealth.RUNNING)


async def test_a_supervisord_that_is_gone_for_good_is_an_error_not_a_hang(
    here: Here, daemon: Daemon, closing: list[SupervisorManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edxconsole.services.supervisor_act.DAEMON_GRACE", 1.0)
    daemon.slow = 30.0
    daemon.start()
    closing.append(manager := SupervisorManager(here, replace(daemon.place, pid=None)))
    await eventually(lambda: is_(manager, "slow", UnitHealth.RUNNING))
    await asyncio.sleep(0.5)
    act = begin(manager, "slow", Verb.STOP, (await manager.observe("slow")).identity)
    closing.append(other := SupervisorManager(here, replace(daemon.place, pid=None)))
    await eventually(lambda: is_(other, "slow", UnitHealth.STOPPING))
    daemon.kill()
    with pytest.raises(ServiceUnavailable, match="supervisord can't be reached"):
        await asyncio.wait_for(act, 20)


async def test_a_socket_of_another_user_comes_after_the_open_port(
    here: Here, daemon: Daemon, closing: list[SupervisorManager]
) -> None:
    tcp = open_port(daemon)
    daemon.start()
    here.info = ConnectionInfo("test", user="ops")
    closing.append(manager := SupervisorManager(here, replace(daemon.place, owner="www-data")))
    await manager.list()
    assert set(here.opened) == {tcp}
