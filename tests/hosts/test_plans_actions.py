"""Acts on a real cluster: each does what it says, is gated, journaled, and refused where it must be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.engine import Engine
from edxconsole.errors import (
    ActFailed,
    EdxconsoleError,
    GateFailed,
    IdentityDrift,
    NotConfirmed,
    PreflightFailed,
    ReadOnly,
)
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import GateLevel, Plan, PlanEvent, PlanState, StepState
from edxconsole.services.base import Verb
from tests.lab.cluster import LabCluster
from tests.lab.host import LabHost

CATALOG = load_catalog()

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@asynccontextmanager
async def engine_on(
    cluster: LabCluster, journal: Journal, *hosts: str, armed: bool = True
) -> AsyncIterator[Engine]:
    """An engine on some hosts of the cluster, settled."""
    inventory = await asyncio.to_thread(cluster.inventory)
    engine = Engine(inventory, CATALOG, hosts=hosts, journal=journal.path.parent)
    async with engine:
        await engine.wait_settled(30)
        if armed:
            engine.arm(600)
        yield engine


async def run(engine: Engine, plan: Plan) -> list[PlanEvent]:
    events: list[PlanEvent] = []
    state = await engine.run_plan(plan, confirmation=plan.digest, on_event=events.append)
    assert state is PlanState.DONE
    return events


async def records_of(journal: Journal) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(journal.records()))


async def pid_of(host: LabHost, program: str) -> int:
    return int(await host.ash(f"/edx/bin/supervisorctl pid {program}"))


def passed(events: list[PlanEvent]) -> set[GateLevel]:
    return {e.gate.level for e in events if e.gate and e.gate.passed}


async def test_restart_brings_a_new_process_through_all_gates(cluster: LabCluster, journal: Journal) -> None:
    before = await pid_of(cluster.app1, "xqueue")
    async with engine_on(cluster, journal, "app1") as engine:
        plan = await engine.draft(Verb.RESTART, "xqueue@app1", reason="test")
        assert plan.steps[0].before.pid == before
        events = await run(engine, plan)
    assert await pid_of(cluster.app1, "xqueue") not in (0, before)
    assert passed(events) == set(GateLevel)
    records = await records_of(journal)
    acts = [r for r in records if r["ev"].startswith("act.")]
    assert acts[0]["ev"] == "act.begin"
    assert acts[-1]["ev"] == "act.end"
    assert (acts[0]["before"], acts[0]["reason"]) == (str(plan.steps[0].before), "test")
    assert records[-1]["ev"] == "plan.done"
    assert (await asyncio.to_thread(journal.verify)).ok


async def test_stop_closes_the_port_and_start_opens_it(cluster: LabCluster, journal: Journal) -> None:
    async with engine_on(cluster, journal, "app2") as engine:
        await run(engine, await engine.draft(Verb.STOP, "xqueue@app2"))
        assert (await asyncio.to_thread(cluster.programs, cluster.app2))["xqueue"] == "STOPPED"
        assert ":8040 " not in await cluster.app2.ash("ss -tlnH")
        events = await run(engine, await engine.draft(Verb.START, "xqueue@app2"))
    assert (await asyncio.to_thread(cluster.programs, cluster.app2))["xqueue"] == "RUNNING"
    assert passed(events) == set(GateLevel)


async def test_reload_keeps_the_master_and_replaces_the_workers(
    cluster: LabCluster, journal: Journal
) -> None:
    master = await pid_of(cluster.app1, "lms")
    workers = await cluster.app1.ash(f"pgrep -P {master}")
    async with engine_on(cluster, journal, "app1") as engine:
        plan = await engine.draft(Verb.RELOAD, "lms@app1")
        assert plan.steps[0].method == "hup-master"
        await run(engine, plan)
    assert await pid_of(cluster.app1, "lms") == master
    assert not set(workers.split()) & set((await cluster.app1.ash(f"pgrep -P {master}")).split())


async def test_nginx_reloads_with_new_workers(cluster: LabCluster, journal: Journal) -> None:
    before = set((await cluster.web.ash("pgrep -f '^nginx: worker'")).split())
    async with engine_on(cluster, journal, "web") as engine:
        await run(engine, await engine.draft(Verb.RELOAD, "nginx@web"))
    after = set((await cluster.web.ash("pgrep -f '^nginx: worker'")).split())
    assert after
    assert not after & before


async def test_a_broken_nginx_configuration_is_caught_before_anything(
    cluster: LabCluster, journal: Journal
) -> None:
    before = await cluster.web.ash("pgrep nginx")
    await cluster.web.ash("cp /etc/nginx/nginx.conf /tmp/good && echo 'bogus;' >> /etc/nginx/nginx.conf")
    try:
        async with engine_on(cluster, journal, "web") as engine:
            plan = await engine.draft(Verb.RELOAD, "nginx@web")
            with pytest.raises(PreflightFailed, match="bogus"):
                await run(engine, plan)
    finally:
        await cluster.web.ash("cp /tmp/good /etc/nginx/nginx.conf")
    assert await cluster.web.ash("pgrep nginx") == before
    assert not [r for r in (await records_of(journal)) if r["ev"] == "act.begin"]


async def test_disarmed_or_unconfirmed_changes_nothing(cluster: LabCluster, journal: Journal) -> None:
    before = await pid_of(cluster.app1, "cms")
    async with engine_on(cluster, journal, "app1", armed=False) as engine:
        plan = await engine.draft(Verb.RESTART, "cms@app1")
        with pytest.raises(ReadOnly):
            await run(engine, plan)
        engine.arm(600)
        with pytest.raises(NotConfirmed):
            await engine.run_plan(plan, confirmation="yes", on_event=lambda event: None)
        engine.arm(0.01)
        await asyncio.sleep(0.05)
        assert engine.armed_until is None
        with pytest.raises(ReadOnly):
            await run(engine, plan)
    assert await pid_of(cluster.app1, "cms") == before
    assert not [r for r in (await records_of(journal)) if r["ev"] == "act.begin"]


async def test_drift_between_confirmation_and_act_stops_it(cluster: LabCluster, journal: Journal) -> None:
    async with engine_on(cluster, journal, "app1") as engine:
        plan = await engine.draft(Verb.RESTART, "xqueue@app1")
        await cluster.app1.ash(f"kill -9 {plan.steps[0].before.pid}")
        respawned = await until_running(cluster.app1, "xqueue", plan.steps[0].before.pid)
        with pytest.raises(IdentityDrift, match="no longer what was confirmed"):
            await run(engine, plan)
    assert await pid_of(cluster.app1, "xqueue") == respawned
    assert not [r for r in (await records_of(journal)) if r["ev"] == "act.begin"]


async def test_a_program_that_does_not_start_is_a_failed_act(cluster: LabCluster, journal: Journal) -> None:
    conf = "/edx/app/edxapp/xqueue_gunicorn.py"
    await cluster.app2.ash(f"cp {conf} /tmp/good && echo 'raise SystemExit(3)' >> {conf}")
    try:
        async with engine_on(cluster, journal, "app2") as engine:
            plan = await engine.draft(Verb.RESTART, "xqueue@app2")
            with pytest.raises(ActFailed, match="does not start"):
                await run(engine, plan)
    finally:
        await cluster.app2.ash(f"cp /tmp/good {conf}; /edx/bin/supervisorctl start xqueue", check=False)
    events = [r["ev"] for r in (await records_of(journal))]
    assert "act.failed" in events
    assert events[-1] == "plan.halted"
    await asyncio.to_thread(cluster.wait_up, 30)


async def test_an_orphan_on_the_port_is_not_taken_for_the_program(
    cluster: LabCluster, journal: Journal
) -> None:
    """The classic: supervisor says RUNNING while an orphan answers on 8040 (domain.md, trap 1)."""
    await cluster.app2.ash("/edx/bin/supervisorctl stop xqueue")
    await asyncio.to_thread(cluster.app2.spawn, "python3 -m http.server 8040")
    await until_listening(cluster.app2, 8040)
    try:
        async with engine_on(cluster, journal, "app2") as engine:
            plan = impatient(await engine.draft(Verb.START, "xqueue@app2"))
            with pytest.raises((ActFailed, GateFailed)) as failure:
                await run(engine, plan)
    finally:
        await cluster.app2.ash(
            "pkill -f '[h]ttp.server 8040'; /edx/bin/supervisorctl restart xqueue", check=False
        )
    if isinstance(failure.value, GateFailed):
        assert "held by pid" in str(failure.value)
    else:
        assert "8040" in str(failure.value) or "does not start" in str(failure.value)
    await asyncio.to_thread(cluster.wait_up, 60)


async def test_a_host_that_dies_in_the_act_ends_recorded(cluster: LabCluster, journal: Journal) -> None:
    """The connection is cut while the act waits: an error in time, and the journal says how it stands."""
    events: list[PlanEvent] = []
    async with engine_on(cluster, journal, "app2") as engine:
        plan = await engine.draft(Verb.RESTART, "lms@app2")

        def cut(event: PlanEvent) -> None:
            events.append(event)
            if event.state is StepState.ACT:
                asyncio.get_running_loop().run_in_executor(None, cluster.app2.drop)

        started = time.monotonic()
        try:
            with pytest.raises(EdxconsoleError):
                await engine.run_plan(plan, confirmation=plan.digest, on_event=cut)
        finally:
            await asyncio.to_thread(cluster.app2.undrop)
        assert time.monotonic() - started < 60
    assert not any(e.state is StepState.OK for e in events)
    assert (await records_of(journal))[-1]["ev"] in ("plan.halted", "act.unknown", "act.failed")
    await asyncio.to_thread(cluster.wait_up, 60)


def impatient(plan: Plan) -> Plan:
    """The same plan with a short deadline for its gates."""
    return replace(plan, steps=tuple(replace(step, gate_deadline=8.0) for step in plan.steps))


async def until_listening(host: LabHost, port: int) -> None:
    for _ in range(40):
        if f":{port} " in await host.ash("ss -tlnH"):
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"nothing listens on {port}")


async def until_running(host: LabHost, program: str, old: int | None) -> int:
    for _ in range(60):
        now = await pid_of(host, program)
        if now not in (0, old):
            return now
        await asyncio.sleep(0.25)
    raise AssertionError(f"{program} was not respawned")
