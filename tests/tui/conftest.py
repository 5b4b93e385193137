"""Screens are drawn in UTC, with animations off, whatever the machine says."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import textual.app
import textual.pilot
from textual.pilot import Pilot

from tests.tui.quiet import until_quiet

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presses wait until the console has nothing left to do; Textual's own wait is 20 ms and more each."""

    async def handled(*_: float) -> None:
        await asyncio.sleep(0)

    post = Pilot.press

    async def press(self: Pilot[Any], *keys: str) -> None:
        for key in keys:
            await post(self, key)
            await until_quiet(self.app)

    monkeypatch.setattr(textual.app, "wait_for_idle", handled)
    monkeypatch.setattr(textual.pilot, "wait_for_idle", handled)
    monkeypatch.setattr(Pilot, "press", press)
