"""A terminal that falls behind: repaints wait for it, and none is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.strip import Strip
from textual.widget import Widget

from widgets import driver
from widgets.driver import MOST_PENDING, CongestionGate


class Counted(Widget):
    painted = 0

    def render_lines(self, crop: Any) -> list[Strip]:
        self.painted += 1
        return [Strip.blank(crop.width) for _ in range(crop.height)]


class Behind(App[None]):
    def compose(self) -> ComposeResult:
        yield Counted()


async def test_what_changed_meanwhile_is_painted_as_soon_as_the_terminal_has_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pending = 0
    monkeypatch.setattr(driver, "pending_writes", lambda app: pending)
    app = Behind()
    async with app.run_test() as pilot:
        gate, widget = CongestionGate(app), app.query_one(Counted)
        await pilot.pause()
        pending = MOST_PENDING + 1
        gate.check()
        assert gate.closed
        await asyncio.sleep(0)
        before = widget.painted
        widget.refresh()
        await asyncio.sleep(0.1)
        assert widget.painted == before, "painted on a terminal that is behind"
        pending = 0
        async with asyncio.timeout(5):
            while widget.painted == before:  # noqa: ASYNC110  painting sets no event
                await asyncio.sleep(0.01)
        assert not gate.closed


async def test_one_frame_that_is_being_written_closes_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "pending_writes", lambda app: 3)
    app = Behind()
    async with app.run_test():
        gate = CongestionGate(app)
        gate.check()
        assert not gate.closed
