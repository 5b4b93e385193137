"""How an inspection is drawn: filtered, copied, at every size, with hostile text, as time passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from edxconsole.cluster.model import State
from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table, Value
from screens.inspect import InspectScreen
from tests.tui import inspections, snapshots
from tests.tui.fakes import make_app
from tests.tui.inspecting import SIZES, on_component, on_lms, opened, shown
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from tests.tui.test_hostile import CORPUS, FORBIDDEN
from widgets.canvas import Canvas
from widgets.inspection_view import InspectionView


async def test_filter_narrows_with_headings_and_escape_takes_it_back() -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        view = screen.query_one(InspectionView)
        whole = [item.key for item in view.items]
        await pilot.press("slash", *"lms-backend", "enter")
        text = shown(screen)
        assert [t.split()[-3:] for t in text[1:] if "lms-backend" in t] == [
            ["lms-backend", "app1:8000", "accepts"],
            ["lms-backend", "app2:8000", "accepts"],
        ]
        assert any("UPSTREAMS" in t for t in text)
        assert not any("PROCESSES" in t for t in text)
        assert "2  /lms-backend" in text[0]
        await pilot.press("escape")
        assert isinstance(app.screen, InspectScreen)
        assert [item.key for item in view.items] == whole


async def test_copy_gives_the_value_under_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_lms(pilot)
        screen = await opened(pilot)
        view = screen.query_one(InspectionView)
        while "/command" not in view.cursor_key:
            await pilot.press("down")
        await pilot.press("y")
        assert copied == [inspections.LONG]
        await pilot.press("G", "y")
        assert copied[1].split("\t")[:3] == ["worker", "4282", "www-data"]


@pytest.mark.parametrize("size", SIZES)
async def test_the_cursor_is_always_in_view_and_every_thing_can_be_reached(size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await on_lms(pilot)
        screen = await opened(pilot)
        view = screen.query_one(InspectionView)
        for keys in (["down"] * 60, ["up"] * 60, ["pagedown"] * 9, ["pageup"] * 9, ["G"], ["home"]):
            for key in keys:
                await pilot.press(key)
                assert any("▌" in line for line in lines(view)[1:]), (key, lines(view))
            edge = view.items[-1] if keys[0] in ("down", "pagedown", "G") else view.items[0]
            assert view.item is edge, keys
        assert view.top == 0
        assert "LOOK AT" in lines(view)[1]
        await pilot.resize_terminal(100, 30)
        await rest(pilot)
        assert any("▌" in line for line in lines(view)[1:])


@pytest.mark.parametrize("size", SIZES)
async def test_every_line_fits_and_only_ascii_where_there_is_no_more(size: tuple[int, int]) -> None:
    app, _ = make_app(ascii_only=True)
    async with app.run_test(size=size) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        for pane in screen.query(Canvas):
            for y in range(pane.size.height):
                strip = pane._draw(y, pane.size.width)
                assert strip.cell_length == pane.size.width
                assert strip.text.isascii(), strip.text
        assert any(
            line.lstrip().startswith(("X down", "| X down")) or "X down" in line for line in shown(screen)
        )


def poisoned(text: str) -> Inspection:
    rows: tuple[Mapping[str, Value], ...] = tuple({text: text, "n": n} for n in range(3))
    part = Section(text, (Fact(text, text, text),), (Table(text, (text, "n"), rows, text, 2),))
    return Inspection(
        "web", "nginx", snapshots.NOW, (part,),
        (Finding(State.DOWN, text),), (Missing(text, text, text),),
    )  # fmt: skip


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_whatever_a_host_says_is_only_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, engine = make_app()
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(120, 36)) as pilot:
        engine.answers["nginx"] = poisoned(text)
        await on_component(pilot)
        screen = await opened(pilot)
        view = screen.query_one(InspectionView)
        for _ in range(len(view.items) + 1):
            await pilot.press("y", "down")
            for pane in screen.query(Canvas):
                for y in range(pane.size.height):
                    strip = pane._draw(y, pane.size.width)
                    assert not FORBIDDEN.search(strip.text), strip.text
                    assert strip.cell_length == pane.size.width
        assert copied
        assert not any(FORBIDDEN.search(t.replace("\t", "")) for t in copied)


async def test_as_time_passes_only_the_age_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    app, engine = make_app()
    drawn: list[object] = []
    draw = InspectionView._strip

    def noted(self: InspectionView, runs: Any, *more: Any) -> Any:
        drawn.append(runs)
        return draw(self, runs, *more)

    monkeypatch.setattr(InspectionView, "_strip", noted)
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        screen = await opened(pilot)
        assert drawn
        drawn.clear()
        for passed in range(1, 6):
            engine.clock.passed = float(passed)  # type: ignore[attr-defined]
            screen.pull()
            await rest(pilot)
            assert f"read 09:41:12, {passed} s ago" in shown(screen)[0]
        assert drawn == []


async def test_the_palette_offers_it() -> None:
    from screens.palette import CommandEntries

    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await on_component(pilot)
        entries = CommandEntries(app.screen).make()
        (entry,) = [e for e in entries if e.text.startswith("Inspect ")]
        assert entry.text == "Inspect  (i)"
        assert "Changes nothing" in entry.help
