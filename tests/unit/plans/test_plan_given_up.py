"""A plan that its console gives up has an end in the journal, and the loop is not held up by writing it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from edxconsole.plans.interlock import Interlock
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import Plan, PlanEvent, PlanState, Step, StepState
from edxconsole.plans.runner import Pace, Runner


class HangingInterlock:
    """An act that nobody answers."""

    def __init__(self) -> None:
        self.acting = asyncio.Event()

    async def act(self, *_: Any, **__: Any) -> None:
        self.acting.set()
        await asyncio.Event().wait()


class Given(Runner):
    """What it looks at before the act is not of this test."""

    async def _precheck(self, step: Step) -> Any:
        return None


async def test_cancelled_in_the_middle_of_an_act(tmp_path: Path) -> None:
    journal, interlock, seen = Journal(tmp_path / "state" / "journal"), HangingInterlock(), list[PlanEvent]()
    step = cast(Step, type("S", (), {"command": "c", "host": "app1"}))
    plan = cast(Plan, type("P", (), {"id": "p", "steps": (step,)}))
    runner = Given(cast(Any, None), cast(Interlock, interlock), journal, plan, seen.append, Pace())
    running = asyncio.ensure_future(runner.run("digest"))
    await interlock.acting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    records = await asyncio.to_thread(lambda: list(journal.records()))
    assert [r["ev"] for r in records] == [f"plan.{PlanState.RUNNING}", f"plan.{PlanState.ABORTED}"]
    assert records[-1]["step"] == 0
    assert seen[-1].state is StepState.UNKNOWN
