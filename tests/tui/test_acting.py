"""No key changes a host by itself: the way to a change is choose, read, arm, confirm."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from edxconsole.errors import IdentityDrift, UsageError
from edxconsole.inventory.model import Environment
from edxconsole.services.base import Verb
from screens.actions import ActionModal
from screens.arm import ArmModal
from screens.confirm import ConfirmModal
from screens.live import LiveScreen
from screens.progress import ProgressModal
from tests.tui import snapshots
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.bars import StatusBar
from widgets.detail_view import DetailView
from widgets.row_table import RowTable


async def on_confirm(pilot: Pilot[Any]) -> ConfirmModal:
    await rest(pilot)
    await pilot.press("down", "a")
    await rest(pilot)
    assert isinstance(pilot.app.screen, ActionModal)
    await pilot.press("enter")
    await rest(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, ConfirmModal)
    return screen


@pytest.mark.parametrize("environment", list(Environment))
async def test_cancel_is_focused_and_enter_changes_nothing(environment: Environment) -> None:
    app, engine = make_app(snapshots.cluster(environment))
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(600)
        screen = await on_confirm(pilot)
        assert screen.focused is screen.query_one("#cancel")
        await pilot.press("enter")
        await rest(pilot)
        assert isinstance(app.screen, LiveScreen)
        assert engine.drafts == [(Verb.RESTART, "cms@app1")]
        assert engine.runs == []


async def test_the_plan_shows_command_identity_gates_and_warning() -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_confirm(pilot)
        text = "\n".join(lines(screen.query_one(DetailView)))
        assert "supervisor.stopProcess('cms', wait=False)" in text
        assert "pid 4242; anything else at that moment stops it" in text
        assert "GET /heartbeat answers 200" in text
        assert "Requests in flight are cut off." in text


async def test_in_production_only_the_typed_phrase_runs_it() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(600)
        screen = await on_confirm(pilot)
        assert screen.phrase == "restart cms app1"
        assert screen.query_one("#run", Button).disabled
        screen.query_one("#reason", Input).focus()
        await pilot.press(*"deploy", "space", *"1234", "enter")
        assert screen.focused is screen.query_one("#phrase")
        await pilot.press(*"restart lms app1".replace(" ", "_").replace("_", " "), "enter")
        await rest(pilot)
        assert engine.runs == []
        screen.query_one("#phrase", Input).value = "restart cms app1"
        await rest(pilot)
        assert not screen.query_one("#run", Button).disabled
        await pilot.press("enter")
        await rest(pilot)
        assert [(p.selector, p.reason) for p in engine.runs] == [("cms@app1", "deploy 1234")]
        progress = app.screen
        assert isinstance(progress, ProgressModal)
        text = "\n".join(lines(progress.query_one(DetailView)))
        assert "HTTP 200 in 38 ms" in text
        assert "done, healthy" in text


async def test_in_production_the_phrase_alone_is_not_enough_without_a_reason() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(600)
        screen = await on_confirm(pilot)
        screen.query_one("#phrase", Input).focus()
        screen.query_one("#phrase", Input).value = screen.phrase
        await pilot.press("enter")
        assert engine.runs == []
        assert screen.query_one("#run", Button).disabled
        assert screen.focused is screen.query_one("#reason")
        await pilot.press("space", "enter")
        assert screen.query_one("#run", Button).disabled


@pytest.mark.parametrize("environment", [Environment.PRODUCTION, Environment.DEVELOPMENT])
async def test_a_console_started_read_only_can_not_be_armed(environment: Environment) -> None:
    app, engine = make_app(snapshots.cluster(environment), read_only=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        assert "READ-ONLY (locked)" in lines(app.screen.query_one(StatusBar))[0]
        await pilot.press("w")
        assert isinstance(app.screen, LiveScreen)
        assert "started read-only" in next(n.message for n in app._notifications)
        screen = await on_confirm(pilot)
        assert not screen.query_one("#arm").display
        assert screen.query_one("#run", Button).disabled
        assert "without --read-only" in str(screen.query_one("#refusal").render())
        await pilot.press("tab", "tab", "enter")
        assert engine.runs == []
        assert engine.armed_until is None


async def test_elsewhere_the_button_must_be_reached_on_purpose() -> None:
    app, engine = make_app(snapshots.cluster(Environment.STAGING))
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(600)
        screen = await on_confirm(pilot)
        assert not screen.query("#phrase")
        await pilot.press("tab", "enter")
        await rest(pilot)
        assert len(engine.runs) == 1


async def test_read_only_says_so_and_can_not_run() -> None:
    app, engine = make_app(snapshots.cluster(Environment.DEVELOPMENT))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_confirm(pilot)
        assert screen.query_one("#run", Button).disabled
        assert "read-only" in str(screen.query_one("#refusal").render())
        await pilot.press("tab", "enter")
        await rest(pilot)
        assert isinstance(app.screen, ArmModal)
        await pilot.press("tab", "enter")
        await rest(pilot)
        assert engine.armed_until is not None
        assert len(app.screen_stack) == 2
        assert not screen.query_one("#run", Button).disabled
        assert engine.runs == []


async def test_arming_that_runs_out_closes_the_way_while_the_plan_is_read() -> None:
    app, engine = make_app(snapshots.cluster(Environment.DEVELOPMENT))
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(60)
        screen = await on_confirm(pilot)
        screen.query_one("#run", Button).focus()
        engine.clock.passed = 61.0  # type: ignore[attr-defined]
        await pilot.press("enter")
        await rest(pilot)
        assert engine.runs == []


async def test_arming_in_production_needs_its_name_and_w_takes_it_back() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        await pilot.press("w")
        await rest(pilot)
        assert isinstance(app.screen, ArmModal)
        await pilot.press("enter")
        await rest(pilot)
        assert engine.armed_until is None
        await pilot.press("w")
        await rest(pilot)
        app.screen.query_one(Input).focus()
        await pilot.press(*"staging", "enter")
        await rest(pilot)
        assert engine.armed_until is None
        app.screen.query_one(Input).value = ""
        await pilot.press(*"production", "enter")
        await rest(pilot)
        assert engine.armed_until is not None
        await pilot.press("w")
        await rest(pilot)
        assert engine.armed_until is None


async def test_a_refusal_is_one_sentence() -> None:
    app, engine = make_app()
    engine.draft_error = UsageError("nothing to restart: [/cms] is not there", remedy="see [b]status[/b]")
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        await pilot.press("down", "a", "enter")
        await rest(pilot)
        assert isinstance(app.screen, LiveScreen)
        (notice,) = list(app._notifications)
        assert notice.message == "nothing to restart: [/cms] is not there; see [b]status[/b]."


async def test_drift_is_shown_as_a_sentence() -> None:
    app, engine = make_app(snapshots.cluster(Environment.STAGING))
    engine.run_error = IdentityDrift("lms is now pid 99", host="app1", remedy="look again, then draft anew")
    async with app.run_test(size=(120, 36)) as pilot:
        engine.arm(600)
        await on_confirm(pilot)
        await pilot.press("tab", "enter")
        await rest(pilot)
        assert isinstance(app.screen, ProgressModal)
        text = " ".join(lines(app.screen.query_one(DetailView)))
        assert "app1: lms is now pid 99; look again, then draft anew." in text


async def test_what_can_not_be_done_says_why() -> None:
    app, engine = make_app()
    engine.missing = {Verb.STOP: "add `ops ALL=(supervisor) NOPASSWD: ...` to sudoers"}
    async with app.run_test(size=(140, 36)) as pilot:
        await rest(pilot)
        await pilot.press("down", "a")
        await rest(pilot)
        table = "\n".join(lines(app.screen.query_one(RowTable)))
        assert "stop     not possible here" in table
        whole = " ".join(" ".join(lines(app.screen.query_one(DetailView))).split())
        assert "not possible: add `ops ALL=(supervisor) NOPASSWD: ...` to sudoers" in whole
        await pilot.press("end", "enter")
        await rest(pilot)
        assert isinstance(app.screen, ActionModal)
        assert engine.drafts == []
