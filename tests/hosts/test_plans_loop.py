"""A program in a crash loop is stopped for good, whatever run it is in when the operator has confirmed."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.errors import IdentityDrift
from edxconsole.plans import interlock
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import Plan, PlanState
from edxconsole.services.base import Verb
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import small_host
from tests.lab.watching import unit, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached"), pytest.mark.timeout(120)]

LOOPER = """
cat >>/etc/supervisord.conf <<'CONF'
[program:looper]
command=sh -c 'sleep 1.4; exit 1'
startsecs=1
CONF
"""


@pytest.fixture
def host(lab: Lab) -> LabHost:
    return lab.boot({"app1": small_host(prepare=LOOPER)})["app1"]


def looks_looping(snapshot: ClusterSnapshot) -> bool:
    seen = snapshot.hosts["app1"]
    return any(key.endswith("/looper") for key in seen.restarting)


def is_another_run(plan: Plan, snapshot: ClusterSnapshot) -> bool:
    now = unit(snapshot.hosts["app1"], "looper")
    return now is not None and now.identity.pid not in (None, plan.steps[0].before.pid)


async def test_stop_reaches_it_runs_after_the_plan_was_drafted(
    lab: Lab, host: LabHost, tmp_path: Path
) -> None:
    async with watching(lab.inventory([host]), tmp_path) as engine:
        await until(engine, looks_looping, within=30, what="a crash loop")
        plan = await engine.draft(Verb.STOP, "looper@app1", reason="test")
        assert plan.steps[0].any_run
        await until(engine, partial(is_another_run, plan), within=30, what="another run")
        engine.arm(60)
        done = await engine.run_plan(plan, confirmation=plan.digest, on_event=lambda event: None)
        assert done is PlanState.DONE
        await until(
            engine,
            lambda s: (u := unit(s.hosts["app1"], "looper")) and u.word == "STOPPED",
            within=30,
            what="STOPPED in the model",
        )
        await asyncio.sleep(3)
        last = unit(engine.snapshot.hosts["app1"], "looper")
        assert last is not None
        assert last.word == "STOPPED"
    records = await asyncio.to_thread(lambda: list(Journal(tmp_path / "journal").records()))
    assert [r["any_run"] for r in records if r["ev"] == "act.begin"] == [True]
    assert await host.ash("pgrep -fc '[s]leep 1.4' || true") == "0\n"


async def test_an_old_plan_is_for_its_run_alone(
    lab: Lab, host: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interlock, "ANY_RUN_FOR", 0.0)
    async with watching(lab.inventory([host]), tmp_path) as engine:
        await until(engine, looks_looping, within=30, what="a crash loop")
        plan = await engine.draft(Verb.STOP, "looper@app1", reason="test")
        await until(engine, partial(is_another_run, plan), within=30, what="another run")
        engine.arm(60)
        with pytest.raises(IdentityDrift):
            await engine.run_plan(plan, confirmation=plan.digest, on_event=lambda event: None)
        before = plan.steps[0].before
        await until(
            engine,
            lambda s: (u := unit(s.hosts["app1"], "looper")) and u.identity.pid and u.identity != before,
            within=30,
            what="the loop going on",
        )
