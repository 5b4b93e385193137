"""Host names folded to ranges, checked against an unfolding of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.inspect.host_ranges import fold_hosts

NAMES = st.from_regex(r"[a-z]{1,3}-?[0-9]{0,4}[a-z]{0,2}[0-9]{0,2}", fullmatch=True)


def unfolded(text: str) -> list[str]:
    """app[1-3,7],db -> app1 app2 app3 app7 db."""
    names = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        found = re.fullmatch(r"(.*)\[(.*)\](.*)", part)
        if found is None:
            names.append(part)
            continue
        for run in found[2].split(","):
            first, _, last = run.partition("-")
            width = len(first) if first.startswith("0") else 0
            names += [f"{found[1]}{n:0{width}d}{found[3]}" for n in range(int(first), int(last or first) + 1)]
    return names


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["app1", "app2", "app3", "app4"], "app[1-4]"),
        (["app1", "app3", "app2", "web"], "app[1-3],web"),
        (["app4"], "app4"),
        (["app8", "app9", "app10"], "app[8-10]"),
        (["app08", "app09", "app10"], "app[08-10]"),
        (["app1", "app01"], "app[1,01]"),
        (["app1.example.com", "app2.example.com"], "app[1-2].example.com"),
        (["a0", "a00"], "a[0,00]"),
        ([], ""),
        (["n" + "1" * 40], "n" + "1" * 40),
    ],
)
def test_names_are_folded(names: list[str], folded: str) -> None:
    assert fold_hosts(names) == folded


@given(st.lists(NAMES, max_size=40))
def test_what_is_folded_can_be_unfolded(names: list[str]) -> None:
    folded = fold_hosts(names)
    found = unfolded(folded)
    assert sorted(found) == sorted(set(names))
    assert len(folded) <= len(",".join(names)) + 2 * len(names)


@given(st.integers(0, 900), st.integers(1, 90), st.integers(1, 4))
def test_neighbours_are_one_range(first: int, many: int, width: int) -> None:
    names = [f"h{n:0{width}d}" for n in range(first, first + many)]
    assert fold_hosts(names).count("-") <= 2
    assert sorted(unfolded(fold_hosts(names))) == sorted(names)
