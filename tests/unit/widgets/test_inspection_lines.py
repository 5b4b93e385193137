"""An inspection as lines: whatever is in it, nothing is wider than the pane and nothing gets lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from edxconsole.cluster.model import State
from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table, Value
from edxconsole.inspect.wording import is_numeric, label, said, shown
from widgets.cells import GAP
from widgets.clean import clean
from widgets.inspection_lines import blocks, fitted
from widgets.items import chosen
from widgets.match import Match

TEXT = st.text(max_size=120)
NUMBERS = st.one_of(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False))
VALUES: st.SearchStrategy[Value] = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
NAMES = st.sampled_from(["used_bytes", "hit_percent", "age_seconds", "saved_at", "version", "cve_2017_11610"])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = tuple(draw(st.lists(st.one_of(NAMES, TEXT), min_size=1, max_size=8, unique=True)))
    row = st.fixed_dictionaries(dict.fromkeys(columns, VALUES))
    rows = tuple(draw(st.lists(row, max_size=4)))
    return Table(draw(TEXT), columns, rows, draw(TEXT), draw(st.integers(0, 9)))


FACTS = st.builds(Fact, st.one_of(NAMES, TEXT), VALUES, TEXT)
SECTIONS = st.builds(
    Section, TEXT, st.lists(FACTS, max_size=4).map(tuple), st.lists(tables(), max_size=2).map(tuple)
)
INSPECTIONS = st.builds(
    Inspection,
    st.just("app1"),
    st.just("lms"),
    st.just(0.0),
    st.lists(SECTIONS, max_size=3).map(tuple),
    st.lists(st.builds(Finding, st.sampled_from(State), TEXT), max_size=3).map(tuple),
    st.lists(st.builds(Missing, TEXT, TEXT, TEXT), max_size=3).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(INSPECTIONS, st.integers(40, 220))
def test_no_line_is_too_wide_and_every_thing_has_one(found: Inspection, width: int) -> None:
    laid = blocks(found, width, clean)
    for block in laid:
        for item in block.items:
            for line in item.lines:
                assert sum(cell_len(text) for text, _ in line) <= width
            assert item.lines
            assert item.told
    things = sum(len(s.facts) + sum(len(t.rows) for t in s.tables) for s in found.sections)
    assert sum(len(b.items) for b in laid) == things + len(found.findings) + len(found.missing)


@settings(max_examples=60, deadline=None)
@given(INSPECTIONS, TEXT)
def test_a_filter_leaves_what_matches_and_nothing_else(found: Inspection, words: str) -> None:
    laid, match = blocks(found, 100, clean), Match.parse(words)
    shown_items = {id(item) for _, item in chosen(laid, match) if item is not None}
    wanted = {id(i) for b in laid for i in b.items if not match or match(i.search)}
    assert shown_items == wanted


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(1, 250),
)
def test_columns_fit_or_only_the_first_is_left(columns: list[tuple[int, int]], room: int) -> None:
    wanted = [w for w, _ in columns]
    least = [min(w, low) for w, low in columns]
    widths = fitted(wanted, least, room)
    assert sum(widths) + GAP * (len(widths) - 1) <= room
    assert all(w <= most for w, most in zip(widths, wanted, strict=False))
    if len(widths) > 1:
        assert all(w >= low for w, low in zip(widths, least, strict=False))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("used_bytes", 3 << 20, "3.0 MiB"),
        ("used_bytes", 12, "12 B"),
        ("hit_percent", 12.5, "12.5 %"),
        ("age_seconds", 300, "5 min"),
        ("saved_at", None, "unknown"),
        ("saved_at", 1e300, "1e+300"),
        ("passes", True, "yes"),
        ("ratio", 0.25, "0.25"),
        ("save", "", "empty"),
        ("version", "1.2", "1.2"),
    ],
)
def test_values_are_told_in_the_unit_of_their_name(name: str, value: Value, words: str) -> None:
    assert said(Fact(name, value, "x")) == words


def test_names_are_told_without_their_unit() -> None:
    names = ["used_bytes", "saved_at", "used_percent", "cve_2017_11610"]
    assert [label(n) for n in names] == ["used", "saved", "used %", "CVE-2017-11610"]


def test_only_numbers_stand_to_the_right() -> None:
    rows: tuple[dict[str, Value], ...] = ({"a": 1, "b": True, "c": None}, {"a": None, "b": 1, "c": None})
    table = Table("t", ("a", "b", "c"), rows, "x")
    assert [is_numeric(table, c) for c in table.columns] == [True, False, False]
    assert shown("a", None) == "unknown"
