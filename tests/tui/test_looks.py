"""How it looks: at three sizes, without colour, in ASCII, in every theme."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Protocol

import pytest
from textual.color import Color
from textual.pilot import Pilot

from edxconsole.cluster.model import State
from screens.place import Place, Visit
from tests.tui import snapshots
from tests.tui.fakes import FakeEngine, make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.canvas import Canvas
from widgets.fleet_table import FleetTable
from widgets.ink import THEMES
from widgets.matrix_view import MatrixView

SIZES = [(200, 50), (120, 36), (80, 24)]


class SnapCompare(Protocol):
    def __call__(self, app: Any, *, terminal_size: tuple[int, int], run_before: Any) -> bool: ...


def pressing(*keys: str) -> Any:
    async def run(pilot: Pilot[Any]) -> None:
        await rest(pilot)
        for key in keys:
            await pilot.press(key)
            await rest(pilot)
        await rest(pilot)

    return run


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("cluster", ()),
        ("host", ("down", "2", "down")),
        ("component", ("down", "3")),
        ("logs", ("down", "4")),
        ("confirm", ("down", "a", "enter")),
    ],
)
def test_screens(snap_compare: SnapCompare, size: tuple[int, int], name: str, keys: tuple[str, ...]) -> None:
    app, _ = make_app()
    assert snap_compare(app, terminal_size=size, run_before=pressing(*keys))


def inspecting(host: str, component: str, *keys: str) -> Any:
    async def run(pilot: Pilot[Any]) -> None:
        await rest(pilot)
        pilot.app.screen.post_message(Visit(Place("inspect", host, component)))
        await rest(pilot)
        for key in keys:
            await pilot.press(key)
        await rest(pilot)

    return run


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize(("host", "component"), [("web", "nginx"), ("app1", "lms")])
def test_inspections(snap_compare: SnapCompare, size: tuple[int, int], host: str, component: str) -> None:
    app, _ = make_app()
    keys = ("down",) * 7
    assert snap_compare(app, terminal_size=size, run_before=inspecting(host, component, *keys))


@pytest.mark.parametrize("theme", ["edx-light", "edx-safe", "edx-mono"])
def test_inspections_in_every_theme(snap_compare: SnapCompare, theme: str) -> None:
    app, _ = make_app()
    app.theme = theme
    assert snap_compare(app, terminal_size=(120, 36), run_before=inspecting("web", "nginx"))


def test_an_inspection_on_an_ascii_terminal(snap_compare: SnapCompare) -> None:
    app, _ = make_app(ascii_only=True)
    assert snap_compare(app, terminal_size=(120, 36), run_before=inspecting("web", "nginx"))


def test_an_inspection_that_is_being_asked(snap_compare: SnapCompare) -> None:
    app, engine = make_app()
    engine.release = asyncio.Event()
    assert snap_compare(app, terminal_size=(120, 36), run_before=inspecting("web", "nginx"))


def asking_health(engine: FakeEngine) -> None:
    """One host well, one not, one that has not answered yet, one stale, one lost."""
    hosts = engine.snapshot.hosts
    lms = next(i for i in hosts["app1"].instances if i.component == "lms")
    web, data = (
        replace(hosts[name], instances=(replace(lms, host=name), *hosts[name].instances))
        for name in ("web", "data")
    )
    app3 = replace(hosts["app1"], name="app3", instances=(replace(lms, host="app3"),))
    shown = {"web": web, "app1": hosts["app1"], "app2": hosts["app2"], "app3": app3, "data": data}
    engine.snapshot = replace(engine.snapshot, hosts=shown)
    engine.gates["app3"] = asyncio.Event()
    engine.health["app1/heartbeat"] = (
        State.DEGRADED,
        "/heartbeat answers 503: modulestore false: its MongoDB does not answer; look at mongodb on data",
        1.34,
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_health(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app, engine = make_app()
    asking_health(engine)

    async def run(pilot: Pilot[Any]) -> None:
        await rest(pilot)
        pilot.app.screen.post_message(Visit(Place("health", "app1", "lms")))
        await rest(pilot)

    assert snap_compare(app, terminal_size=size, run_before=run)


@pytest.mark.parametrize("theme", [t.name for t in THEMES if t.name != "edx-dark"])
def test_themes(snap_compare: SnapCompare, theme: str) -> None:
    app, _ = make_app()
    app.theme = theme
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressing())


def test_a_healthy_cluster_is_quiet(snap_compare: SnapCompare) -> None:
    app, _ = make_app(snapshots.healthy())
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressing())


def test_help(snap_compare: SnapCompare) -> None:
    app, _ = make_app()
    assert snap_compare(app, terminal_size=(120, 36), run_before=pressing("question_mark"))


async def test_ascii_terminals_get_only_ascii_and_still_every_state() -> None:
    app, _ = make_app(ascii_only=True)
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        for pane in app.screen.query(Canvas):
            assert all(line.isascii() for line in lines(pane)), pane
        fleet = lines(app.screen.query_one(FleetTable))
        assert [line.split()[0] for line in fleet[2:6]] == ["+", "+", "~", "#"]


async def test_without_colour_nothing_is_coloured_and_states_still_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, _ = make_app()
    async with app.run_test(size=(200, 50)) as pilot:
        await rest(pilot)
        assert app.theme == "edx-mono"
        for pane in app.screen.query(Canvas):
            for y in range(pane.size.height):
                for segment in pane._draw(y, pane.size.width):
                    for colour in (
                        segment.style and segment.style.color,
                        segment.style and segment.style.bgcolor,
                    ):
                        if colour is not None:
                            r, g, b = Color.from_rich_color(colour).rgb
                            assert max(r, g, b) - min(r, g, b) <= 2
        matrix = "\n".join(lines(app.screen.query_one(MatrixView)))
        for words in ("● up", "✗ down", "◐ ", "≈ was up", "? was up"):
            assert words in matrix


@pytest.mark.parametrize("theme", [t for t in THEMES if t.name != "edx-mono"], ids=lambda t: t.name)
def test_every_ink_can_be_read_on_its_ground(theme: Any) -> None:
    from rich.style import Style

    from widgets.ink import Role, ink_for

    ground = Color.parse(theme.background)
    ink = ink_for(theme, Style(bgcolor=ground.rich_color))
    for role in Role:
        if role in (Role.FAINT, Role.ALARM, Role.MATCH):
            continue
        style = ink[role]
        assert style.color is not None
        assert ground.get_contrast_text(1.0) is not None
        contrast = _contrast(Color.from_rich_color(style.color), ground)
        assert contrast >= 4.5, (role, contrast)


def _contrast(a: Color, b: Color) -> float:
    """WCAG contrast ratio."""

    def luminance(colour: Color) -> float:
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)
