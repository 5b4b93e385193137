"""A restart whose console dies in the middle is finished on the host: real supervisords 3.0 to 4.3."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edxconsole.cluster.units import UnitHealth
from edxconsole.errors import ActFailed
from edxconsole.inventory.model import Host
from edxconsole.services.base import Permit, Verb
from edxconsole.services.supervisor import SupervisorManager
from edxconsole.transport.base import Endpoint, Stream
from edxconsole.transport.local_transport import LocalTransport
from edxconsole.transport.relay import handshake, relay_argv
from tests.unit.services.daemon import Daemon
from tests.unit.services.waiting import eventually

pytestmark = pytest.mark.timeout(90)

CONSOLE = """
import asyncio, sys
from edxconsole.inventory.model import Host
from edxconsole.services.base import Permit, Verb
from edxconsole.services.supervisor import SupervisorManager, SupervisorPlace
from tests.unit.services.test_supervisor_keeper import WAYS

def say(phase):
    print(phase, flush=True)

async def main(endpoint, way):
    transport = WAYS[way](Host(name="here", transport="local"))
    await transport.connect()
    manager = SupervisorManager(transport, SupervisorPlace("supervisor:x", endpoint))
    before = (await manager.observe("slow")).identity
    permit = Permit("plan", "here", "slow", Verb.RESTART, before)
    await manager.act("slow", Verb.RESTART, permit=permit, deadline=30, on_phase=say)

asyncio.run(main(*sys.argv[1:]))
"""


class Relayed(LocalTransport):
    """Forwards nothing by itself, as an sshd that permits none: each stream is a relay's."""

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        async with asyncio.timeout(timeout):
            return await handshake(await self.process(relay_argv(endpoint)), self.host_name, "relay")


WAYS: dict[str, type[LocalTransport]] = {"direct": LocalTransport, "relay": Relayed}


MARK = f"EDX_KEEPER_TEST={os.getpid()}"
"""in the environment of this test process's keepers, and of no other test process's"""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How supervisord is spoken to."""
    return str(request.param)


@pytest.fixture
async def local(
    each_daemon: Daemon, way: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SupervisorManager]:
    monkeypatch.setenv(*MARK.split("="))
    transport = WAYS[way](Host(name="here", transport="local"))
    await transport.connect()
    manager = SupervisorManager(transport, each_daemon.place)
    await eventually(lambda: is_(manager, UnitHealth.RUNNING))
    await asyncio.sleep(0.5)
    yield manager
    await manager.close()
    await transport.close()


async def is_(manager: SupervisorManager, health: UnitHealth) -> bool:
    return (await manager.observe("slow")).health is health


def keepers() -> list[int]:
    """Keepers that this test process started, wherever they are by now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        ours = MARK.encode() in environment.split(b"\0")
        if ours and b"whose restart its console left half done" in text:
            found.append(int(entry.name))
    return found


async def none_is_left() -> bool:
    return not keepers()


async def restarted(manager: SupervisorManager, old: int | None) -> bool:
    unit = await manager.observe("slow")
    return unit.health is UnitHealth.RUNNING and unit.identity.pid != old


def begin(
    manager: SupervisorManager, permit: Permit, phases: list[str], deadline: float
) -> asyncio.Task[object]:
    return asyncio.create_task(
        manager.act("slow", Verb.RESTART, permit=permit, deadline=deadline, on_phase=phases.append)
    )


async def test_a_cancelled_restart_is_finished_on_the_host(local: SupervisorManager) -> None:
    before = (await local.observe("slow")).identity
    phases: list[str] = []
    act = begin(local, Permit("plan", "here", "slow", Verb.RESTART, before), phases, 30)
    await eventually(lambda: is_(local, UnitHealth.STOPPING))
    assert keepers(), "this test no longer recognises a keeper"
    act.cancel()
    await asyncio.wait({act})
    assert phases == ["stopping"]
    await eventually(lambda: restarted(local, before.pid))
    await eventually(none_is_left)


async def test_a_killed_console_leaves_nothing_half_done(
    local: SupervisorManager, each_daemon: Daemon, way: str
) -> None:
    before = (await local.observe("slow")).identity
    argv = [sys.executable, "-c", CONSOLE, f"unix:{each_daemon.socket}", way]
    console = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    assert console.stdout is not None
    assert await console.stdout.readline() == b"stopping\n"
    await eventually(lambda: is_(local, UnitHealth.STOPPING))
    os.kill(console.pid, signal.SIGKILL)
    await console.wait()
    await eventually(lambda: restarted(local, before.pid))
    await eventually(none_is_left)


async def test_a_restart_that_ends_well_leaves_no_keeper(local: SupervisorManager) -> None:
    before = (await local.observe("slow")).identity
    phases: list[str] = []
    await begin(local, Permit("plan", "here", "slow", Verb.RESTART, before), phases, 30)
    assert phases == ["stopping", "stopped", "starting"]
    assert not keepers()


async def test_a_restart_that_is_given_up_is_not_finished_behind_the_operators_back(
    local: SupervisorManager,
) -> None:
    before = (await local.observe("slow")).identity
    with pytest.raises(ActFailed, match="start it when it has stopped"):
        await begin(local, Permit("plan", "here", "slow", Verb.RESTART, before), [], 0.5)
    assert not keepers()
    await eventually(lambda: is_(local, UnitHealth.STOPPED))
    await asyncio.sleep(1)
    assert await is_(local, UnitHealth.STOPPED)
    permit = Permit("plan", "here", "slow", Verb.START, (await local.observe("slow")).identity)
    await local.act("slow", Verb.START, permit=permit, deadline=10)
