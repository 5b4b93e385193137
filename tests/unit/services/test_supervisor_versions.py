"""SupervisorManager against real supervisords 3.0 to 4.3: each act does what it says, each refusal holds."""

from __future__ import annotations

import asyncio
import os

import pytest

from edxconsole.cluster.units import Identity, UnitHealth
from edxconsole.errors import ActFailed, IdentityDrift, NotConfirmed, ServiceFault, UnitUnknown
from edxconsole.services.base import ActOutcome, Permit, Verb
from edxconsole.services.supervisor import SupervisorManager
from tests.unit.services.daemon import Daemon
from tests.unit.services.waiting import eventually

pytestmark = pytest.mark.timeout(120)


async def act(manager: SupervisorManager, name: str, verb: Verb, deadline: float = 20.0) -> ActOutcome:
    """What the interlock does: read the identity, give leave, act."""
    before = (await manager.observe(name)).identity
    permit = Permit("plan", "here", name, verb, before)
    return await manager.act(name, verb, permit=permit, deadline=deadline)


async def make(manager: SupervisorManager, name: str, health: UnitHealth) -> None:
    """Bring a program to a known state before a test."""
    unit = await manager.observe(name)
    if unit.health is not health:
        await act(manager, name, Verb.START if health is UnitHealth.RUNNING else Verb.STOP)


async def test_list_names_every_program_as_its_own_rpc_does(
    manager: SupervisorManager, each_daemon: Daemon
) -> None:
    units = {unit.name: unit for unit in await manager.list()}
    assert {"lms", "chatty", "broken", "edxapp_worker:lms_default_1", "edxapp_worker:lms_high_1"} <= set(
        units
    )
    assert units["lms"].manager == f"supervisor:{each_daemon.socket}"
    assert units["chatty"].log_paths[0].startswith(str(each_daemon.home))


async def test_version_and_posture(manager: SupervisorManager, each_daemon: Daemon) -> None:
    capabilities = await manager.capabilities()
    assert capabilities.version == each_daemon.version
    assert capabilities.verbs == {Verb.START, Verb.STOP, Verb.RESTART}
    assert any("CVE-2017-11610" in w for w in capabilities.warnings) == each_daemon.version.startswith("3.")
    assert await manager.can_signal() == (each_daemon.version >= "3.2")


async def test_stop_start_restart_really_change_the_process(manager: SupervisorManager) -> None:
    await make(manager, "lms", UnitHealth.RUNNING)
    before = await manager.observe("lms")
    assert before.health is UnitHealth.RUNNING
    assert before.identity.pid is not None

    await act(manager, "lms", Verb.STOP)
    assert (await manager.observe("lms")).word == "STOPPED"
    with pytest.raises(ProcessLookupError):
        os.kill(before.identity.pid, 0)

    await act(manager, "lms", Verb.START)
    started = await manager.observe("lms")
    assert started.health is UnitHealth.RUNNING

    await act(manager, "lms", Verb.RESTART)
    again = await manager.observe("lms")
    assert again.health is UnitHealth.RUNNING
    assert again.identity.pid != started.identity.pid


async def test_acts_on_one_member_of_a_group_leave_the_other_alone(manager: SupervisorManager) -> None:
    other = (await manager.observe("edxapp_worker:lms_high_1")).identity
    before = (await manager.observe("edxapp_worker:lms_default_1")).identity
    await act(manager, "edxapp_worker:lms_default_1", Verb.RESTART)
    assert (await manager.observe("edxapp_worker:lms_default_1")).identity != before
    assert (await manager.observe("edxapp_worker:lms_high_1")).identity == other


async def test_a_chatty_sibling_does_not_hold_an_act(manager: SupervisorManager) -> None:
    assert (await manager.observe("chatty")).health in (UnitHealth.RUNNING, UnitHealth.STARTING)
    await make(manager, "lms", UnitHealth.RUNNING)
    outcome = await act(manager, "lms", Verb.RESTART, deadline=15)
    assert not outcome.already


async def test_a_fatal_program_fails_with_the_end_of_its_log(manager: SupervisorManager) -> None:
    with pytest.raises(ActFailed) as failure:
        await act(manager, "broken", Verb.START)
    assert "Exited too quickly" in str(failure.value)
    assert "ImportError: No module named lms" in str(failure.value)
    assert (await manager.observe("broken")).health is UnitHealth.FAILED


async def test_a_missing_command_fails_at_once(manager: SupervisorManager) -> None:
    with pytest.raises(ActFailed, match="here: start missing: "):
        await act(manager, "missing", Verb.START)


async def test_a_second_try_may_succeed(manager: SupervisorManager, each_daemon: Daemon) -> None:
    await make(manager, "flaky", UnitHealth.STOPPED)
    (each_daemon.home / "tried").unlink(missing_ok=True)
    await act(manager, "flaky", Verb.START)
    assert (await manager.observe("flaky")).health is UnitHealth.RUNNING


async def runs_anew(manager: SupervisorManager, name: str, before: Identity) -> bool:
    return (await manager.observe(name)).identity not in (before, Identity())


@pytest.mark.parametrize(("name", "after"), [("crasher", 0.3), ("ender", 1.2)])
async def test_a_crash_loop_is_stopped_in_whatever_run_it_is(
    manager: SupervisorManager, name: str, after: float
) -> None:
    """It passes startsecs and ends, again and again: RUNNING with another pid each time, EXITED between."""
    await make(manager, name, UnitHealth.RUNNING)
    confirmed = (await manager.observe(name)).identity
    await eventually(lambda: runs_anew(manager, name, confirmed))
    await asyncio.sleep(after)
    permit = Permit("plan", "here", name, Verb.STOP, confirmed, any_run=True)
    outcome = await manager.act(name, Verb.STOP, permit=permit, deadline=20)
    assert not outcome.already
    for _ in range(5):
        assert (await manager.observe(name)).word == "STOPPED"
        await asyncio.sleep(0.5)


async def test_a_crash_loop_is_not_stopped_when_one_run_was_confirmed(manager: SupervisorManager) -> None:
    await make(manager, "ender", UnitHealth.RUNNING)
    confirmed = (await manager.observe("ender")).identity
    await eventually(lambda: runs_anew(manager, "ender", confirmed))
    permit = Permit("plan", "here", "ender", Verb.STOP, confirmed)
    with pytest.raises(IdentityDrift):
        await manager.act("ender", Verb.STOP, permit=permit, deadline=20)
    any_run = Permit("plan", "here", "ender", Verb.STOP, confirmed, any_run=True)
    await manager.act("ender", Verb.STOP, permit=any_run, deadline=20)


async def test_a_program_that_ends_well_at_once_is_not_a_failure(manager: SupervisorManager) -> None:
    await act(manager, "oneshot", Verb.START)
    await asyncio.sleep(0.3)
    unit = await manager.observe("oneshot")
    assert (unit.word, unit.health) == ("EXITED", UnitHealth.EXITED)


async def test_a_slow_stop_is_waited_for_before_the_start(manager: SupervisorManager) -> None:
    await make(manager, "slow", UnitHealth.RUNNING)
    await asyncio.sleep(0.5)
    phases: list[str] = []
    before = (await manager.observe("slow")).identity
    permit = Permit("plan", "here", "slow", Verb.RESTART, before)
    await manager.act("slow", Verb.RESTART, permit=permit, deadline=20, on_phase=phases.append)
    # This transport starts no process that stays, so there is no keeper, and that is said.
    assert phases[0].startswith("unguarded: ")
    assert phases[1:] == ["stopping", "stopped", "starting"]
    after = await manager.observe("slow")
    assert after.health is UnitHealth.RUNNING
    assert after.identity != before


async def test_the_deadline_is_ours_and_start_during_stopping_still_starts(
    manager: SupervisorManager,
) -> None:
    await make(manager, "slow", UnitHealth.RUNNING)
    await asyncio.sleep(0.5)
    with pytest.raises(ActFailed, match=r"still STOPPING after 0\.3 s"):
        await act(manager, "slow", Verb.STOP, deadline=0.3)
    stopping = await manager.observe("slow")
    assert stopping.health is UnitHealth.STOPPING
    outcome = await act(manager, "slow", Verb.START)
    after = await manager.observe("slow")
    assert not outcome.already
    assert after.health is UnitHealth.RUNNING
    assert after.identity.pid != stopping.identity.pid


async def test_what_is_so_already_is_no_error(manager: SupervisorManager) -> None:
    await make(manager, "lms", UnitHealth.RUNNING)
    assert (await act(manager, "lms", Verb.START)).already
    await act(manager, "lms", Verb.STOP)
    assert (await act(manager, "lms", Verb.STOP)).already


async def test_identity_drift_stops_the_act(manager: SupervisorManager) -> None:
    await make(manager, "lms", UnitHealth.RUNNING)
    now = (await manager.observe("lms")).identity
    for before in (
        Identity(),
        Identity(now.pid, (now.start or 0) - 1),
        Identity((now.pid or 0) + 1, now.start),
    ):
        permit = Permit("plan", "here", "lms", Verb.RESTART, before)
        with pytest.raises(IdentityDrift):
            await manager.act("lms", Verb.RESTART, permit=permit, deadline=5)
    assert (await manager.observe("lms")).identity == now


async def test_a_permit_for_something_else_is_refused(manager: SupervisorManager) -> None:
    before = (await manager.observe("lms")).identity
    for permit in (
        Permit("plan", "there", "lms", Verb.STOP, before),
        Permit("plan", "here", "cms", Verb.STOP, before),
        Permit("plan", "here", "lms", Verb.START, before),
    ):
        with pytest.raises(NotConfirmed):
            await manager.act("lms", Verb.STOP, permit=permit, deadline=5)


@pytest.mark.parametrize("name", ["edxapp_worker:*", "edxapp_worker:", "*", "nosuch", ""])
async def test_unknown_names_and_whole_groups_are_refused(manager: SupervisorManager, name: str) -> None:
    with pytest.raises(UnitUnknown):
        await manager.observe(name)
    permit = Permit("plan", "here", name, Verb.STOP, Identity())
    with pytest.raises(UnitUnknown):
        await manager.act(name, Verb.STOP, permit=permit, deadline=5)


async def test_reload_is_refused_with_the_reason(manager: SupervisorManager) -> None:
    before = (await manager.observe("lms")).identity
    permit = Permit("plan", "here", "lms", Verb.RELOAD, before)
    with pytest.raises(ServiceFault, match="can't reload one program"):
        await manager.act("lms", Verb.RELOAD, permit=permit, deadline=5)
