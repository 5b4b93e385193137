"""Health checks as lines: every width holds them, nothing of an answer is lost, times in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from edxconsole.cluster.model import State
from widgets.clean import clean
from widgets.health_lines import HealthLayout
from widgets.health_rows import HealthRow, duration, rate
from widgets.ink import Role
from widgets.states import STATE

ROW = HealthRow(
    key="app1/heartbeat",
    host="app1",
    check="heartbeat",
    level="L3",
    look=STATE[State.UP],
    every="8 s",
    took="41 ms",
    age="now",
    asks="GET /heartbeat at 127.0.0.1:8000 as localhost",
    text="/heartbeat answers 200",
    role=Role.TEXT,
    proves="",
    cost="",
)


WORDS = {"host": st.text(max_size=40), "check": st.text(max_size=60), "text": st.text(max_size=300)}
ROWS = st.lists(st.builds(replace, st.just(ROW), **WORDS), min_size=1, max_size=4)


@given(st.integers(60, 240), ROWS)
def test_no_line_is_wider_than_there_is_room(width: int, rows: list[HealthRow]) -> None:
    layout = HealthLayout(rows, width, clean)
    lines = [layout.head(), *(line for row in rows for line in layout.item(row).lines)]
    assert all(sum(cell_len(text) for text, _ in line) <= width for line in lines)


@pytest.mark.parametrize("width", [60, 79, 119, 199])
def test_an_answer_is_told_whole_at_every_width(width: int) -> None:
    words = "this answer goes on for longer than a line of any terminal has room for it " * 3
    row = replace(ROW, text=words.strip())
    lines = HealthLayout([row], width, clean).item(row).lines
    ends = " ".join(line[-1][0] for line in lines)
    assert " ".join(words.split()) in " ".join(ends.split())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "2 s"),
        (8.5, "8.5 s"),
        (60, "1 min"),
        (90, "90 s"),
        (900, "15 min"),
        (7200, "2 h"),
        (86400, "24 h"),
    ],
)
def test_a_rate_is_told_whole(seconds: float, words: str) -> None:
    assert rate(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "<1 ms"), (0.0414, "41 ms"), (0.9996, "1.0 s"), (1.34, "1.3 s"), (9.96, "10 s"), (20.2, "20 s")],
)
def test_a_duration_is_told_in_two_digits_or_so(seconds: float, words: str) -> None:
    assert duration(seconds) == words
