"""The log pane: following, pausing, filtering, and saying what is missing."""

from __future__ import annotations

from typing import Any

from textual.app import App, ComposeResult

from edxconsole.logs.model import LogBatch, LogSource
from screens.host import HostScreen
from screens.logs import LogsScreen
from tests.tui import snapshots
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.ink import THEMES
from widgets.log_pane import LogPane
from widgets.match import Match

LMS = LogSource("app1", "/edx/var/log/lms.log", "lms", "lms")
CMS = LogSource("app2", "/edx/var/log/cms.log", "cms", "cms")


class OnePane(App[None]):
    """A log pane and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "edx-dark"

    def compose(self) -> ComposeResult:
        yield LogPane(id="log", budget=280_000)

    @property
    def pane(self) -> LogPane:
        return self.query_one(LogPane)


def batch(source: LogSource, *texts: str, **more: Any) -> LogBatch:
    return LogBatch(source, snapshots.NOW, "".join(f"{t}\n" for t in texts), **more)


async def test_it_follows_and_shows_where_lines_come_from() -> None:
    app = OnePane()
    async with app.run_test(size=(120, 12)):
        app.pane.reset([LMS, CMS])
        app.pane.feed([batch(LMS, *(f"lms {n}" for n in range(50))), batch(CMS, "cms last")])
        shown = lines(app.pane)
        assert shown[-1].split() == ["app2", "cms", "│", "cms", "last", "┃"]
        assert "app1" in shown[-2]
        assert "51 lines" in shown[0]


async def test_pause_keeps_the_place_while_lines_arrive_and_fall_out() -> None:
    app = OnePane()
    async with app.run_test(size=(120, 12)) as pilot:
        pane = app.pane
        pane.reset([LMS])
        pane.feed([batch(LMS, *(f"line {n:05d} {'x' * 60}" for n in range(3_000)))])
        pane.focus()
        await pilot.press("up")
        assert not pane.following
        before = lines(pane)[1:]
        pane.feed([batch(LMS, *(f"line {n:05d} {'x' * 60}" for n in range(3_000, 6_000)))])
        assert pane.store.first > 0
        assert [t.split()[:2] for t in lines(pane)[1:]] == [t.split()[:2] for t in before]
        assert "PAUSED, 3,000 new below" in lines(pane)[0]
        await pilot.press("p")
        assert "line 05999" in lines(pane)[-1]


async def test_filter_shows_only_matching_lines_also_new_ones() -> None:
    app = OnePane()
    async with app.run_test(size=(120, 12)):
        pane = app.pane
        pane.reset([LMS])
        pane.feed([batch(LMS, *(f"{'ERROR' if n % 10 == 0 else 'INFO'} {n}" for n in range(100)))])
        while pane.filter(Match.parse("error")) or pane._searching:
            pane.update()
        assert pane.length() == 10
        pane.feed([batch(LMS, "INFO no", "ERROR yes")])
        assert pane.length() == 11
        assert "ERROR yes" in lines(pane)[-1]
        assert "11 of 102 lines  /error" in lines(pane)[0]
        pane.filter(Match(""))
        assert pane.length() == 102


async def test_what_is_missing_is_said_where_it_is_missing() -> None:
    app = OnePane()
    async with app.run_test(size=(120, 12)):
        pane = app.pane
        pane.reset([LMS])
        pane.feed([batch(LMS, "before"), batch(LMS, "after", mark="gap", lost=2048)])
        pane.feed([batch(LMS, mark="rotated"), batch(LMS, mark="dropped", lost=120)])
        pane.drop(30)
        pane.feed([batch(LMS, "end")])
        text = "\n".join(lines(pane))
        assert text.index("before") < text.index("2 K could not be read") < text.index("after")
        assert "the file was rotated" in text
        assert "120 lines dropped here" in text
        assert "30 lines dropped here" in text
        assert "150 DROPPED" in text


async def test_only_lines_in_view_are_composed() -> None:
    app = OnePane()
    async with app.run_test(size=(120, 12)) as pilot:
        pane = app.pane
        pane.reset([LMS])
        await rest(pilot)
        painted = pane.painted
        pane.feed([batch(LMS, *(f"line {n}" for n in range(20_000)))])
        await rest(pilot)
        assert pane.painted - painted <= 4 * 12


async def test_the_cursor_on_a_host_chooses_what_is_followed() -> None:
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        await pilot.press("down", "2")
        await rest(pilot)
        screen = app.screen
        assert isinstance(screen, HostScreen)
        assert [s.component for s in engine.follows[-1]] == ["cms"]
        await pilot.press("down")
        await rest(pilot)
        assert [s.component for s in engine.follows[-1]] == ["xqueue"]
        assert "views.py:4" in lines(screen.query_one(LogPane))[5]


async def test_moving_fast_over_rows_opens_only_the_last_log() -> None:
    app, engine = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        await pilot.press("down", "2")
        await rest(pilot)
        opened = len(engine.follows)
        for _ in range(3):
            app.simulate_key("down")
        await rest(pilot)
        assert len(engine.follows) - opened <= 2
        assert [s.component for s in engine.follows[-1]] == ["supervisor"]


async def test_marks_choose_the_sources_of_the_logs_screen() -> None:
    app, engine = make_app(snapshots.healthy())
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        await pilot.press("4")
        await rest(pilot)
        assert isinstance(app.screen, LogsScreen)
        assert len(engine.follows[-1]) == 13
        app.screen.query_one("#sources").focus()
        await pilot.press("space", "space")
        await rest(pilot)
        assert {s.component for s in engine.follows[-1]} == {"nginx", "lms"}
        await pilot.press("u")
        await rest(pilot)
        assert len(engine.follows[-1]) == 13
