"""The first screen: what it says, and that it stays still when nothing changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from edxconsole.cluster.model import Link, State
from screens.component import ComponentScreen
from screens.host import HostScreen
from screens.live import LiveScreen
from tests.tui import snapshots
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from widgets.bars import StatusBar
from widgets.canvas import Canvas
from widgets.fleet_table import FleetTable
from widgets.matrix_view import MatrixView
from widgets.problem_list import ProblemList


def lines(pane: Canvas) -> list[str]:
    """What a pane shows, as text."""
    width, height = pane.size
    return ["".join(s.text for s in pane._draw(y, width)).rstrip() for y in range(height)]


async def settled(pilot: Pilot[Any]) -> LiveScreen:
    await rest(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, LiveScreen)
    return screen


async def test_it_says_what_is_wrong_where_since_when() -> None:
    app, _ = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await settled(pilot)
        text = lines(screen.query_one(ProblemList))
        assert "✗ down" in text[2]
        assert "app1" in text[2]
        assert "Studio" in text[2]
        assert "FATAL" in text[2]
        assert "09:38" in text[2]
        assert "3 min" in text[2]


async def test_a_stale_host_looks_stale_and_a_lost_one_never_up() -> None:
    app, _ = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await settled(pilot)
        fleet = lines(screen.query_one(FleetTable))
        assert "≈ app2" in fleet[4]
        assert "stale 4 s" in fleet[4]
        assert "⊘ data" in fleet[5]
        assert "lost 2 min" in fleet[5]
        matrix = lines(screen.query_one(MatrixView))
        rabbit = next(line for line in matrix if "RabbitMQ" in line)
        assert "? was up" in rabbit
        assert "●" not in rabbit
        lms = next(line for line in matrix if line.strip().startswith("LMS"))
        assert "● up" in lms
        assert "≈ was up" in lms


async def test_before_anything_is_heard_it_does_not_claim_that_all_is_well() -> None:
    app, engine = make_app()
    engine.snapshot = app.bridge.cluster
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        text = " ".join(lines(screen.query_one(ProblemList)))
        assert "4 hosts not heard yet" in text
        assert "waiting" in " ".join(lines(screen.query_one(FleetTable)))


async def test_a_published_change_is_painted() -> None:
    app, engine = make_app(snapshots.healthy())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        assert "nothing wrong" in " ".join(lines(screen.query_one(ProblemList)))
        web = engine.snapshot.hosts["web"]
        nginx = replace(web.instances[0], state=State.DOWN, reason="no process")
        hosts = {**engine.snapshot.hosts, "web": replace(web, version=8, instances=(nginx,))}
        drawn = screen.query_one(MatrixView).drawn
        engine.publish(replace(engine.snapshot, version=13, hosts=hosts))
        await rest(pilot)
        assert any("✗ down" in line for line in lines(screen.query_one(MatrixView)))
        assert screen.query_one(MatrixView).drawn - drawn == 1


async def test_nothing_is_painted_while_nothing_changes() -> None:
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await settled(pilot)
        await rest(pilot)
        frames = 0

        def count() -> None:
            nonlocal frames
            frames += 1

        app.post_display_hook = count  # type: ignore[method-assign]
        painted = sum(c.painted for c in screen.query(Canvas))
        for version in range(20, 26):
            engine.publish(replace(engine.snapshot, version=version))
            await pilot.pause(0.25)
        assert frames == 0
        assert sum(c.painted for c in screen.query(Canvas)) == painted


async def test_ages_move_with_the_clock_and_repaint_only_their_row() -> None:
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        screen = await settled(pilot)
        fleet, matrix = screen.query_one(FleetTable), screen.query_one(MatrixView)
        before = (fleet.drawn, matrix.drawn)
        engine.clock.passed = 1.0  # type: ignore[attr-defined]
        screen.pull()
        await rest(pilot)
        assert "stale 5 s" in lines(fleet)[4]
        assert fleet.drawn - before[0] == 1
        assert matrix.drawn == before[1]


async def test_the_cursor_stays_on_its_row_when_rows_move() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        problems = screen.query_one(ProblemList)
        await pilot.press("down")
        assert problems.cursor_key == "app1/cms"
        engine.publish(
            replace(engine.snapshot, version=14, problems=tuple(reversed(engine.snapshot.problems)))
        )
        await rest(pilot)
        assert problems.cursor_key == "app1/cms"
        assert problems.cursor_index == 3


async def test_drill_down_back_and_history() -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        await pilot.press("down", "enter")
        screen = await settled(pilot)
        assert isinstance(screen, ComponentScreen)
        assert screen.place.component == "cms"
        await pilot.press("enter")
        screen = await settled(pilot)
        assert isinstance(screen, HostScreen)
        assert screen.place.host == "app1"
        await pilot.press("escape")
        assert isinstance(await settled(pilot), ComponentScreen)
        await pilot.press("left_square_bracket")
        assert (await settled(pilot)).KIND == "cluster"
        await pilot.press("right_square_bracket", "right_square_bracket")
        assert isinstance(await settled(pilot), HostScreen)
        await pilot.press("1")
        assert (await settled(pilot)).KIND == "cluster"


async def test_filter_narrows_the_focused_pane_and_escape_takes_it_back() -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        problems = screen.query_one(ProblemList)
        await pilot.press("slash", *"app1")
        await rest(pilot)
        assert len(problems.rows) == 3
        await pilot.press("enter")
        await rest(pilot)
        assert screen.focused is problems
        assert "3 of 5  /app1" in lines(problems)[0]
        await pilot.press("escape")
        await rest(pilot)
        assert len(problems.rows) == 5
        assert screen.KIND == "cluster"


async def test_zoom_gives_the_whole_screen_to_a_pane_and_takes_it_back() -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        problems, matrix = screen.query_one(ProblemList), screen.query_one(MatrixView)
        height = problems.size.height
        await pilot.press("z")
        await rest(pilot)
        assert problems.size.height == 34
        assert not matrix.display or matrix.size.height == 0
        await pilot.press("z")
        await rest(pilot)
        assert problems.size.height == height
        assert matrix.size.height > 5


@pytest.mark.parametrize("size", [(200, 50), (160, 45), (120, 36), (100, 30), (80, 24), (60, 16)])
@pytest.mark.parametrize("key", ["1", "2", "3", "4"])
async def test_panes_fill_the_screen_without_overlap(size: tuple[int, int], key: str) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press("down", key)
        screen = await settled(pilot)
        assert len(list(screen.walk_children())) <= 100
        panes = [p for p in screen.query(".panes Canvas").results(Canvas) if p.display]
        assert len(panes) >= 2
        for pane in panes:
            assert pane.size.height >= 2, pane
            assert screen.region.contains_region(pane.region), (pane, pane.region)
            for line in lines(pane):
                assert "\n" not in line
        for a in panes:
            assert not any(a.region.overlaps(b.region) for b in panes if b is not a)


async def test_a_tiny_terminal_says_so() -> None:
    app, _ = make_app()
    async with app.run_test(size=(50, 12)) as pilot:
        screen = await settled(pilot)
        told = screen.query_one("#too-small")
        assert told.display
        assert "50×12" in str(told.render())
        assert not screen.query_one(".panes").display


async def test_status_bar_never_hides_whether_we_are_armed() -> None:
    for width in (200, 120, 80, 60):
        app, engine = make_app()
        async with app.run_test(size=(width, 24)) as pilot:
            screen = await settled(pilot)
            bar = screen.query_one(StatusBar)
            assert "READ-ONLY" in lines(bar)[0]
            assert "PRODUCTION" in lines(bar)[0]
            engine.arm(540)
            screen.pull()
            assert "ARMED until 09:50" in lines(bar)[0]


async def test_a_host_in_every_link_state_draws() -> None:
    app, engine = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        for n, link in enumerate(Link):
            hosts = {
                k: replace(h, link=link, vitals=None if n % 2 else h.vitals)
                for k, h in engine.snapshot.hosts.items()
            }
            engine.publish(replace(engine.snapshot, version=100 + n, hosts=hosts))
            await rest(pilot)
            for row in lines(screen.query_one(FleetTable))[2:6]:
                assert ("●" in row) == (link is Link.LIVE), row


async def test_once_all_are_heard_it_says_that_nothing_is_wrong() -> None:
    app, engine = make_app(snapshots.healthy())
    heard = engine.snapshot
    data = replace(heard.hosts["data"], link=Link.CONNECTING)
    engine.snapshot = replace(heard, version=3, hosts={**heard.hosts, "data": data})
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        problems = screen.query_one(ProblemList)
        assert "1 host not heard yet" in lines(problems)[1]
        painted = problems.painted
        engine.publish(heard)
        await rest(pilot)
        assert lines(problems)[1].strip() == "nothing wrong"
        assert problems.painted > painted


async def test_a_healthy_cluster_is_not_painted_again_as_time_passes() -> None:
    app, engine = make_app(snapshots.healthy())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await settled(pilot)
        problems = screen.query_one(ProblemList)
        painted = problems.painted
        for seconds in (11.0, 22.0):
            engine.clock.passed = seconds  # type: ignore[attr-defined]
            screen.pull()
            await rest(pilot)
        assert lines(problems)[1].strip() == "nothing wrong"
        assert problems.painted == painted


@pytest.mark.parametrize("size", [(200, 50), (120, 36), (80, 24)])
async def test_what_a_demo_only_imitates_is_said_on_the_screen(size: tuple[int, int]) -> None:
    said = "Demo cluster: MongoDB is a stand-in; everything else is real."
    app, _ = make_app(notice=said)
    async with app.run_test(size=size) as pilot:
        screen = await settled(pilot)
        (line,) = screen.query("#notice").results(Canvas)
        assert line.display
        assert line.size.height == 1
        assert lines(line) == [f" {said}"]
        assert screen.region.contains_region(line.region)
