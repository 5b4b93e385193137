"""Wrapped log lines: whole, in order, none skipped by a page."""

from __future__ import annotations

import re

import pytest
from textual.geometry import Region

from tests.tui.quiet import rest
from tests.tui.test_logs import CMS, LMS, OnePane, batch
from widgets.log_pane import LogPane
from widgets.match import Match
from widgets.wrapping import pieces


def shown(pane: LogPane) -> list[str]:
    """The rows below the title, without gutter and scroll bar."""
    width, height = pane.size
    strips = pane.render_lines(Region(0, 0, width, height))
    assert all(strip.cell_length == width for strip in strips)
    rows = [strip.text[:-1].rstrip() for strip in strips[1:]]
    return [row.partition("│ ")[2] if "│ " in row else row.removeprefix("  ") for row in rows]


def long_line(number: int) -> str:
    return f"<{number:03d} " + "abcdefghi " * (number % 7 * 9) + f"{number:03d}>"


async def test_a_long_line_is_shown_whole() -> None:
    app = OnePane()
    async with app.run_test(size=(100, 20)) as pilot:
        pane = app.pane
        pane.reset([LMS])
        text = "".join(chr(ord("a") + n % 26) for n in range(400))
        pane.feed([batch(LMS, "before", text, "after")])
        pane.focus()
        await pilot.press("W")
        await rest(pilot)
        rows = shown(pane)
        assert "".join(rows[1:6]).replace(" ", "") == text
        assert rows[0] == "before"
        assert rows[6] == "after"
        assert "wrapped" in pane.note
        await pilot.press("W")
        assert text[:90] in "".join(s.text for s in pane.render_lines(Region(0, 2, 100, 1)))
        assert "wrapped" not in pane.note


async def test_following_keeps_the_end_of_the_last_line_in_view() -> None:
    app = OnePane()
    async with app.run_test(size=(60, 12)) as pilot:
        pane = app.pane
        pane.reset([LMS, CMS])
        pane.focus()
        await pilot.press("W")
        for number in range(30):
            pane.feed([batch(LMS, long_line(number))])
            await rest(pilot)
            assert "".join(shown(pane)).endswith(f"{number:03d}>")


@pytest.mark.parametrize("keys", ["pageup", "pagedown", "up", "down"])
async def test_moving_skips_no_line(keys: str) -> None:
    app = OnePane()
    async with app.run_test(size=(80, 14)) as pilot:
        pane = app.pane
        pane.reset([LMS])
        pane.feed([batch(LMS, *(long_line(n) for n in range(60)))])
        pane.focus()
        await pilot.press("W", "end" if "up" in keys else "home")
        seen: set[str] = set()
        for _ in range(90):
            seen |= set(re.findall(r"<(\d{3}) ", " ".join(shown(pane))))
            await pilot.press(keys)
        assert seen == {f"{n:03d}" for n in range(60)}


async def test_a_filter_finds_its_words_in_wrapped_lines() -> None:
    app = OnePane()
    async with app.run_test(size=(80, 14)) as pilot:
        pane = app.pane
        pane.reset([LMS])
        pane.feed([batch(LMS, *(long_line(n) for n in range(60)))])
        pane.focus()
        await pilot.press("W")
        pane.filter(Match.parse("017>"))
        while pane.update():
            await rest(pilot)
        text = "".join(shown(pane))
        assert "<017 " in text
        assert "017>" in text
        assert "018>" not in text


def test_pieces_lose_nothing_and_mark_what_does_not_fit() -> None:
    assert pieces("", 10, 5) == [""]
    assert pieces("abcdef", 4, 5) == ["abcd", "ef"]
    assert "".join(pieces("日本語のログ行です", 5, 9)) == "日本語のログ行です"
    cut = pieces("x" * 100, 10, 3)
    assert len(cut) == 3
    assert cut[-1].endswith("…")
