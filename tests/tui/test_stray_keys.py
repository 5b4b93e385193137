"""No stray key changes a host: random keys on every screen and modal, armed and not."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from textual.pilot import Pilot

from edxconsole.inventory.model import Environment
from screens.actions import ActionModal
from screens.arm import ArmModal
from screens.confirm import ConfirmModal
from screens.help import HelpModal
from screens.live import LiveScreen
from tests.tui import snapshots
from tests.tui.fakes import FakeEngine, make_app
from tests.tui.quiet import rest
from widgets.match import Match
from widgets.row_table import RowTable

KEYS = [
    *"abcdefghijklmnoprstuvwxyzWGH0123456789[]:/?!", "enter", "tab", "shift+tab", "escape", "space", "up",
    "down", "left", "right", "pageup", "pagedown", "home", "end", "delete", "backspace", "f1", "f5",
    "ctrl+d", "ctrl+k", "ctrl+r", "ctrl+x", "ctrl+l", "ctrl+p", "ctrl+m", "ctrl+j",
]  # fmt: skip
"""all but those that leave"""

STARTS: dict[str, tuple[tuple[str, ...], type]] = {
    "cluster": (("1",), LiveScreen),
    "host": (("1", "2"), LiveScreen),
    "component": (("1", "3"), LiveScreen),
    "logs": (("1", "4"), LiveScreen),
    "inspect": (("1", "3", "i"), LiveScreen),
    "health": (("1", "3", "H"), LiveScreen),
    "filter": (("1", "slash"), LiveScreen),
    "help": (("1", "question_mark"), HelpModal),
    "arm": (("1", "w"), ArmModal),
    "actions": (("1", "a"), ActionModal),
    "confirm": (("1", "a", "enter"), ConfirmModal),
}
ROUNDS, PRESSES = 2, 115
"""from each start: more than 2,000 in all"""


async def start(pilot: Pilot[Any], name: str) -> None:
    """To a screen or modal, from wherever we are."""
    app = pilot.app
    for _ in range(12):
        if isinstance(app.screen, LiveScreen) and app.screen.focused is not None:
            break
        await pilot.press("escape")
    assert isinstance(app.screen, LiveScreen)
    await pilot.press("1", "escape", "escape", "1")
    problems = app.screen.query_one("#problems", RowTable)
    problems.filter(Match(""))
    problems.focus()
    await pilot.press("home", "down")
    keys, kind = STARTS[name]
    await pilot.press(*keys)
    if not isinstance(app.screen, kind):
        await rest(pilot)
    notices = [n.message for n in app._notifications]
    assert isinstance(app.screen, kind), (name, app.screen, problems.cursor_key, notices)


async def press_at_random(pilot: Pilot[Any], rng: random.Random, presses: int) -> None:
    """Fast, as a cat would: keys come while the last are still being handled, and now and then a rest."""
    for n in range(presses):
        pilot.app.simulate_key(rng.choice(KEYS))
        await asyncio.sleep(0)
        if n % 5 == 4:
            await rest(pilot)
    await rest(pilot)


def keep_armed(engine: FakeEngine) -> None:
    engine.arm(1e9)
    engine.disarm = lambda: None  # type: ignore[method-assign]


def keep_read_only(engine: FakeEngine) -> None:
    engine.arm = lambda seconds: None  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize("armed", [True, False], ids=["armed", "read-only"])
@pytest.mark.timeout(180)
async def test_two_thousand_random_keys_run_no_plan_in_production(armed: bool) -> None:
    """None of them types the phrase: its words are longer than chance."""
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        rng = random.Random(f"armed {armed}")
        for name in [*STARTS] * ROUNDS:
            if not (name == "arm" and engine.armed_until):
                await start(pilot, name)
            (keep_armed if armed else keep_read_only)(engine)
            await press_at_random(pilot, rng, PRESSES)
            assert engine.runs == []
            assert app.is_running
        assert len(engine.drafts) > ROUNDS, "the way to a plan was not even tried"


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_random_keys_run_no_plan_while_read_only_outside_production() -> None:
    app, engine = make_app(snapshots.cluster(Environment.DEVELOPMENT))
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        keep_read_only(engine)
        for name in STARTS:
            await start(pilot, name)
            await press_at_random(pilot, random.Random(name), 30)
            assert engine.runs == []
        assert engine.drafts


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in STARTS if n != "arm"])
@pytest.mark.timeout(120)
async def test_a_single_stray_key_never_confirms_outside_production(name: str) -> None:
    """Armed, in development: on the confirmation Enter is Cancel, which has the focus."""
    app, engine = make_app(snapshots.cluster(Environment.DEVELOPMENT))
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        keep_armed(engine)
        await start(pilot, name)
        here = app.screen
        for key in KEYS:
            await pilot.press(key)
            assert engine.runs == [], key
            if app.screen is not here or (
                name == "confirm" and here.focused is not here.query_one("#cancel")
            ):
                await start(pilot, name)
                here = app.screen
