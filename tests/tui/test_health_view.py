"""How health is drawn: at every size, with hostile text, as time passes."""

from __future__ import annotations

from typing import Any

import pytest

from edxconsole.cluster.model import State
from edxconsole.errors import ConnectionLost
from tests.tui.asking_health import (
    BEAT1,
    BEAT2,
    SIZES,
    live,
    on_lms,
    pass_time,
    row,
    shown,
)
from tests.tui.fakes import make_app
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from tests.tui.test_hostile import CORPUS, FORBIDDEN
from widgets.bars import KeyBar
from widgets.canvas import Canvas
from widgets.item_view import ItemView


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", SIZES)
async def test_every_line_fits_and_columns_stay_aligned(size: tuple[int, int], ascii_only: bool) -> None:
    app, engine = make_app(live(), ascii_only=ascii_only)
    async with app.run_test(size=size) as pilot:
        engine.health[BEAT1] = (State.DEGRADED, "/heartbeat answers 503: " + "it is not well, " * 12, 12.0)
        screen = await on_lms(pilot)
        for pane in screen.query(Canvas):
            for y in range(pane.size.height):
                strip = pane._draw(y, pane.size.width)
                assert strip.cell_length == pane.size.width
                assert strip.text.isascii() or not ascii_only, strip.text
        text = shown(screen)
        at = text[1].index("every")
        rates = [line[at : at + 9].strip() for line in text[2:] if "heartbeat  " in line[:40]]
        assert rates == ["8 s", "on demand"] * 2
        assert "…" not in "".join(text), "nothing of these is cut, at any width"
        assert "…" not in "".join(lines(screen.query_one(KeyBar)))


async def test_the_keys_that_ask_are_in_the_footer_at_every_size() -> None:
    for size in SIZES:
        app, _ = make_app(live())
        async with app.run_test(size=size) as pilot:
            screen = await on_lms(pilot)
            footer = lines(screen.query_one(KeyBar))[0]
            assert "r Ask again" in footer
            assert "x Ask costly" in footer
            assert "? Help" in footer


@pytest.mark.parametrize("text", CORPUS, ids=range(len(CORPUS)))
async def test_whatever_a_host_says_is_only_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, engine = make_app(live())
    copied: list[str] = []
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(120, 36)) as pilot:
        engine.health[BEAT1] = (State.DOWN, text, 0.0)
        engine.health[BEAT2] = ConnectionLost(text, host="app2")
        screen = await on_lms(pilot)
        for _ in range(4):
            await pilot.press("y", "down")
            for pane in screen.query(Canvas):
                for y in range(pane.size.height):
                    strip = pane._draw(y, pane.size.width)
                    assert not FORBIDDEN.search(strip.text), strip.text
                    assert strip.cell_length == pane.size.width
        assert copied
        assert not any(FORBIDDEN.search(t.replace("\t", "")) for t in copied)


async def test_as_time_passes_only_ages_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    app, engine = make_app(live())
    drawn: list[object] = []
    draw = ItemView._strip

    def noted(self: ItemView, runs: Any, *more: Any) -> Any:
        drawn.append(runs)
        return draw(self, runs, *more)

    monkeypatch.setattr(ItemView, "_strip", noted)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await on_lms(pilot)
        assert drawn
        for seconds, lines_drawn in ((1, 0), (3, 0), (1, 2), (4, 0), (1, 2)):
            drawn.clear()
            pass_time(engine, screen, seconds)
            await rest(pilot)
            assert len(drawn) == lines_drawn, (seconds, drawn)
        assert "10 s" in row(screen, "app1", "heartbeat")


async def test_the_palette_offers_it() -> None:
    from screens.palette import CommandEntries

    app, _ = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await rest(pilot)
        entries = CommandEntries(app.screen).make()
        (entry,) = [e for e in entries if e.text.startswith("Ask health now")]
        assert entry.text == "Ask health now  (H)"
        assert "those that cost are listed" in entry.help
