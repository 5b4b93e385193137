"""A component opened up: asked once at a time, left with Esc, told with sources, units and ages."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import pytest

from edxconsole.cluster.model import Link
from edxconsole.errors import ConnectionLost
from screens.asking_screen import FRESH
from screens.component import ComponentScreen
from screens.health import HealthScreen
from screens.host import HostScreen
from screens.inspect import InspectScreen
from screens.place import Place, Visit
from tests.tui import inspections, snapshots
from tests.tui.fakes import make_app
from tests.tui.inspecting import on_component, on_lms, opened, shown, told
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.canvas import Canvas
from widgets.detail_view import DetailView
from widgets.fleet_table import FleetTable
from widgets.inspection_view import InspectionView
from widgets.matrix_view import MatrixView


async def test_from_the_component_screen_it_says_what_was_found_and_from_where() -> None:
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        assert engine.inspected == [("web", "nginx")]
        text = shown(screen)
        assert "NGINX ON web" in text[0]
        assert "read 09:41:12, 0 s ago · 2 findings · 1 not seen" in text[0]
        body = "\n".join(text)
        order = [
            "LOOK AT",
            "✗ down",
            "◐ degraded",
            "PROCESSES",
            "CONFIGURATION",
            "UPSTREAMS",
            "ANSWERS",
            "NOT SEEN",
        ]
        assert sorted(order, key=body.index) == order
        facts = {line.split("  ")[1].strip(): line.split() for line in text if "process table" in line}
        assert facts["master pid"][2:] == ["812", "process", "table"]
        assert facts["started"][1:3] == ["2026-11-22", "08:41:12"]
        by_word = {line.split()[0]: line.split() for line in text if line.split()}
        assert by_word["passes"][1:] == ["yes", "nginx", "-t"]
        assert by_word["says"][1:] == ["unknown", "nginx", "-t"]
        assert by_word["log"][1:] == ["70.0", "MiB", "stat"] or "70.0 MiB" in body
        assert "1.25 %" in body
        assert "3 more are left out" in body
        assert "remedy: add the sudoers rule" in body
        assert "slow answers  none  by end of the log" in body


async def test_from_the_host_screen_it_is_of_the_service_under_the_cursor() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_lms(pilot)
        await opened(pilot)
        assert engine.inspected == [("app1", "lms")]
        await pilot.press("escape")
        assert isinstance(app.screen, HostScreen)


async def test_the_row_under_the_cursor_is_told_whole_with_its_source() -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        assert "finding" in told(screen)
        await pilot.press("down", "down")
        assert "master pid: 812" in told(screen)
        assert "process table" in told(screen)
        view = screen.query_one(InspectionView)
        while "status_codes" not in view.cursor_key:
            await pilot.press("down")
        detail = screen.query_one(DetailView)
        words = " ".join(fact.text for fact in detail._facts)
        assert "/edx/var/log/nginx/access.log 18204 311 92 17" in words
        assert detail._facts[-1].text == "end of the log"


async def test_while_asked_it_says_so_and_one_press_is_one_inspection() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.release = asyncio.Event()
        await on_component(pilot)
        screen = await opened(pilot)
        assert "asking web about nginx, 0 s; Esc leaves" in shown(screen)[1]
        await pilot.press("i", "r", "r", "i", "r")
        engine.clock.passed = 7.0  # type: ignore[attr-defined]
        screen.pull()
        await rest(pilot)
        assert "asking web about nginx, 7 s" in shown(screen)[1]
        assert engine.inspected == [("web", "nginx")]
        engine.release.set()
        await rest(pilot)
        assert "LOOK AT" in "\n".join(shown(screen))
        assert engine.reconnects == []


@pytest.mark.parametrize("keys", [("escape",), ("1",), ("left_square_bracket",)])
async def test_leaving_ends_the_work_and_coming_back_asks_anew(keys: tuple[str, ...]) -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.release = asyncio.Event()
        await on_component(pilot)
        await opened(pilot)
        await pilot.press(*keys)
        assert not isinstance(app.screen, InspectScreen)
        assert engine.left == 1
        engine.release = None
        await pilot.press("3", "i")
        assert isinstance(app.screen, InspectScreen)
        assert engine.inspected == [("web", "nginx")] * 2
        assert "LOOK AT" in "\n".join(shown(app.screen))


async def test_what_is_left_before_it_began_leaves_nothing_behind() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        for _ in range(20):
            screen.asking.forget()
            assert screen.asking.ask("web", "nginx")
            assert not screen.asking.ask("web", "nginx")
        await rest(pilot)
        gc.collect()
        assert screen.asking.found is not None
        assert len(engine.inspected) == 2


async def test_help_on_top_of_it_does_not_end_the_work() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.release = asyncio.Event()
        await on_component(pilot)
        screen = await opened(pilot)
        await pilot.press("question_mark")
        help_text = "\n".join(t for pane in app.screen.query(Canvas) for t in lines(pane))
        assert "Ask again" in help_text
        await pilot.press("escape")
        engine.release.set()
        await rest(pilot)
        assert engine.left == 0
        assert "LOOK AT" in "\n".join(shown(screen))


async def test_another_component_ends_the_asking_of_the_first() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        engine.release = asyncio.Event()
        screen = await opened(pilot)
        screen.post_message(Visit(Place("inspect", "app1", "lms")))
        await rest(pilot)
        assert engine.left == 1
        assert "asking app1 about LMS" in shown(screen)[1]
        engine.release.set()
        await rest(pilot)
        assert "LMS ON app1" in shown(screen)[0]
        assert engine.inspected == [("web", "nginx"), ("app1", "lms")]


async def test_r_asks_again_keeps_what_was_found_and_the_cursor() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        view = screen.query_one(InspectionView)
        await pilot.press("down", "down", "down")
        key = view.cursor_key
        assert "master_user" in key
        engine.release = asyncio.Event()
        engine.clock.passed = 200.0  # type: ignore[attr-defined]
        await pilot.press("r")
        assert "read 09:41:12, 3 min ago" in shown(screen)[0]
        assert "asking again, 0 s" in shown(screen)[0]
        assert "PROCESSES" in "\n".join(shown(screen))
        engine.answers["nginx"] = replace(inspections.NGINX, findings=())
        engine.release.set()
        await rest(pilot)
        assert "read 09:44:32, 0 s ago" in shown(screen)[0]
        assert view.cursor_key == key
        assert "nothing found in what could be seen" in "\n".join(shown(screen))
        assert len(engine.inspected) == 2


async def test_coming_back_soon_asks_nothing_and_later_asks_anew() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        await opened(pilot)
        for passed, asked in ((FRESH - 1, 1), (FRESH + 1, 2)):
            engine.clock.passed = passed  # type: ignore[attr-defined]
            await pilot.press("escape")
            assert isinstance(app.screen, ComponentScreen)
            await pilot.press("right_square_bracket")
            assert isinstance(app.screen, InspectScreen)
            assert len(engine.inspected) == asked


async def test_a_lost_host_is_a_sentence_and_what_was_found_stays_with_its_age() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        engine.answers["nginx"] = ConnectionLost("the connection was reset", host="web", remedy="press r")
        web = replace(engine.snapshot.hosts["web"], link=Link.LOST, since=snapshots.NOW)
        engine.publish(replace(engine.snapshot, version=20, hosts={**engine.snapshot.hosts, "web": web}))
        await pilot.press("r")
        text = shown(screen)
        assert "web is lost 0 s" in text[0]
        assert "✗ web: the connection was reset; press r." in text[1]
        assert "PROCESSES" in "\n".join(text)


async def test_what_has_no_inspector_says_which_have() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        await pilot.press("down", "i")
        assert isinstance(app.screen, InspectScreen)
        assert "cms has no inspector; there are those of lms, nginx." in shown(app.screen)[1]
        assert engine.inspected == [("app1", "cms")]


async def test_a_fault_of_the_console_is_said_and_another_can_be_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        engine.answers["nginx"] = KeyError("oops")
        await on_component(pilot)
        screen = await opened(pilot)
        assert "broken off by a fault of the console" in shown(screen)[1]
        engine.answers["nginx"] = inspections.NGINX
        await pilot.press("r")
        assert "LOOK AT" in "\n".join(shown(screen))
    assert "KeyError" in caplog.text


async def test_without_a_component_there_is_nothing_to_inspect() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        table = app.screen.query_one(FleetTable)
        table.focus()
        await pilot.press("home", "i", "H")
        await rest(pilot)
        assert not isinstance(app.screen, InspectScreen | HealthScreen)
        assert engine.inspected == []
        said = f"This is the whole host {table.cursor_key}: choose one of its components."
        assert [n.message for n in app._notifications] == [said, said]


async def test_where_nothing_of_it_is_it_says_where_it_is() -> None:
    """Asked there all the same, it would be called down on a host that never had it."""
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        matrix = app.screen.query_one(MatrixView)
        matrix.focus()
        await pilot.press("home", "down")
        assert matrix.cursor_key == "lms"
        while matrix.host != "web":
            await pilot.press("left")
        await pilot.press("i")
        await rest(pilot)
        assert not isinstance(app.screen, InspectScreen)
        assert engine.inspected == []
        assert [n.message for n in app._notifications] == ["LMS is not on web, but on app1, app2."]
