"""An act given up at any moment before it is done has an end in the journal."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from edxconsole.plans.interlock import Interlock
from edxconsole.plans.journal import Journal
from edxconsole.plans.model import Plan, Step


class SlowJournal(Journal):
    """Takes as long to write as a disk under load."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def append(self, plan: str, event: str, **fields: Any) -> dict[str, Any]:
        self.writing.set()
        assert self.go_on.wait(10)
        return super().append(plan, event, **fields)


async def test_given_up_while_its_begin_is_written(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path)
    interlock = Interlock(cast(Any, None), cast(Any, None), journal)
    plan = cast(Plan, type("P", (), {"id": "p", "environment": "e", "reason": "", "digest": "d"}))
    step = cast(Step, type("S", (), {"command": "c", "before": "b", "any_run": False}))
    begin = asyncio.ensure_future(interlock._begin(plan, step, {"host": "app1"}))
    await asyncio.to_thread(journal.writing.wait, 10)
    begin.cancel()
    await asyncio.sleep(0)
    journal.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await begin
    records = await asyncio.to_thread(lambda: list(journal.records()))
    assert [r["ev"] for r in records] == ["act.begin", "act.failed"]
    assert "before anything was changed" in records[1]["why"]
