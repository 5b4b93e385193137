"""The parts of widgets and screens that draw nothing."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from screens.history import History
from screens.place import Place
from widgets.cells import GAP, Column, bar, fit
from widgets.clean import clean, clip, pad, to_ascii
from widgets.ink import Role
from widgets.line_store import MARK, LineStore
from widgets.match import Match
from widgets.words import size, span

OBEYED = [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800]


@pytest.mark.parametrize("code", OBEYED)
def test_nothing_a_terminal_obeys_survives(code: int) -> None:
    shown = clean(f"a{chr(code)}b")
    assert not {ord(c) for c in shown} & set(OBEYED)
    assert shown.startswith("a")
    assert shown.endswith("b")
    shown.encode("utf-8")


def test_colour_sequences_vanish_and_other_escapes_stay_readable() -> None:
    assert clean("\x1b[31mred\x1b[0m") == "red"
    assert clean("\x1b]52;c;aGk=\x07") == "␛]52;c;aGk=␇"


@given(st.text(), st.integers(0, 40))
def test_padding_is_exact_whatever_the_text(text: str, width: int) -> None:
    assert cell_len(pad(clean(text), width)) == width


@given(st.text())
def test_ascii_is_ascii(text: str) -> None:
    assert to_ascii(clean(text)).isascii()


def test_a_cut_is_shown() -> None:
    assert clip("edxapp_worker", 6) == "edxap…"
    assert clip("edx", 6) == "edx"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3700, "1 h"), (9e5, "10 d")]
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(("kib", "words"), [(512, "512 K"), (9_800, "9.6 M"), (8 << 20, "8.0 G")])
def test_sizes(kib: float, words: str) -> None:
    assert size(kib) == words


@given(st.integers(1, 300))
def test_columns_never_overflow_when_one_fits(width: int) -> None:
    columns = [Column("a", 10, 0, grow=1, most=20), Column("b", 8, 2), Column("c", 9, 1, grow=2, most=60)]
    shown = fit(columns, width)
    used = sum(cells for _, cells in shown) + GAP * (len(shown) - 1)
    assert used <= max(width, 10)
    assert shown[0][0] == 0
    assert [i for i, _ in shown] == sorted(i for i, _ in shown)


def test_least_important_columns_go_first() -> None:
    columns = [Column("a", 10), Column("b", 10, 2), Column("c", 10, 1)]
    assert [i for i, _ in fit(columns, 22)] == [0, 2]


def test_a_bar_shows_the_smallest_use_and_never_overflows() -> None:
    assert "".join(t for t, _ in bar(0.001, 8, Role.DIM)) == "━───────"
    assert "".join(t for t, _ in bar(1.7, 8, Role.DIM)) == "━━━━━━━━"


def test_filter_words() -> None:
    match = Match.parse("celery !INFO")
    assert match("[celery] ERROR lost")
    assert not match("[celery] INFO fine")
    assert Match.parse("error")("ERROR")
    assert not Match.parse("Error")("ERROR")
    assert not Match.parse("  ")


def test_history_goes_back_and_a_new_way_forgets_the_old_one() -> None:
    history = History(Place("cluster"))
    history.visit(Place("host", "a"))
    history.visit(Place("host", "b"))
    assert history.step(-1) == Place("host", "a")
    history.visit(Place("logs"))
    assert history.step(1) is None
    assert history.step(-1) == Place("host", "a")
    assert history.step(-1) == Place("cluster")
    assert history.step(-1) is None


def test_store_keeps_lines_sources_and_order_over_blocks() -> None:
    store = LineStore()
    for n in range(6_000):
        store.feed(f"line {n} of {'x' * 50}\n", n % 3)
    assert len(store) == 6_000
    for n in (0, 1, 2_999, 5_999):
        assert store.line(n) == (f"line {n} of {'x' * 50}", n % 3)


def test_store_forgets_whole_blocks_and_keeps_line_numbers() -> None:
    store = LineStore(budget=300_000)
    for n in range(20_000):
        store.feed(f"{n:06d} {'y' * 60}\n", 7)
    assert 0 < store.first < 20_000
    assert store.end == 20_000
    assert len(store) == 20_000 - store.first
    assert store.line(store.first)[0].startswith(f"{store.first:06d}")
    assert store.line(19_999)[0].startswith("019999")


def test_store_search_finds_every_hit_once() -> None:
    store = LineStore()
    for n in range(5_000):
        store.feed(f"{'ERROR' if n % 100 == 0 else 'ok'} {n} {'z' * 60}\n", 0)
    hits: array[int] = array("Q")
    at = 0
    while at < store.end:
        at = store.scan(Match.parse("ERROR"), at, hits)
    assert list(hits) == list(range(0, 5_000, 100))


def test_remarks_are_told_from_lines() -> None:
    store = LineStore()
    store.feed("theirs\n", 1)
    store.remark("ours\nin one line", 1)
    assert store.line(0) == ("theirs", 1)
    assert store.line(1) == ("ours in one line", 1 | MARK)
