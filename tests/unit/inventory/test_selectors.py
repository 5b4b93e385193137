"""Selectors: what they mean, and that they survive being written and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import InventoryError
from edxconsole.inventory.model import Host, Inventory
from edxconsole.inventory.selectors import Selector, hosts_of, hosts_of_all, parse_selector

INVENTORY = Inventory(
    hosts={name: Host(name=name) for name in ("web1", "app1", "app2", "data1")},
    groups={"app": ("app1", "app2"), "everything": ("web1", "app1", "app2", "data1")},
)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("lms@app*", Selector("lms", "*", "app*")),
        ("edxapp_worker:*@app1", Selector("edxapp_worker", "*", "app1")),
        ("edxapp_worker:lms_default_1@app1", Selector("edxapp_worker", "lms_default_1", "app1")),
        ("@data1", Selector("*", "*", "data1")),
        ("nginx", Selector("nginx", "*", "*")),
        ("@all", Selector()),
        (" lms ", Selector("lms")),
        ("[lc]ms@app[12]", Selector("[lc]ms", "*", "app[12]")),
    ],
)
def test_what_is_meant(text: str, selector: Selector) -> None:
    assert parse_selector(text) == selector
    assert parse_selector(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the selector is empty"),
        ("lms@", "the host is missing"),
        ("@", "the host is missing"),
        (":x", "the component is missing"),
        ("lms:", "the program is missing"),
        ("l ms", "' ' can't stand in the component 'l ms'"),
        ("a@b@c", "'@' can't stand in the host 'b@c'"),
        ("-x", "'-' can't stand in the component"),
        ("lms@-x", "'-' can't stand in the host"),
        ("lms@a;reboot", "';' can't stand in the host"),
        ("lms\x1b[2J", r"'\x1b' can't stand in the component"),
        ("x" * 201, "longer than 200 characters"),
    ],
)
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(InventoryError) as caught:
        parse_selector(text)
    assert why in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("@app", ("app1", "app2")),
        ("@app*", ("app1", "app2")),
        ("@every*", ("web1", "app1", "app2", "data1")),
        ("lms@data1", ("data1",)),
        ("@all", ("web1", "app1", "app2", "data1")),
        ("nginx", ("web1", "app1", "app2", "data1")),
    ],
)
def test_which_hosts(text: str, hosts: tuple[str, ...]) -> None:
    assert hosts_of(parse_selector(text), INVENTORY) == hosts


def test_hosts_of_several_selectors_are_in_file_order_and_once() -> None:
    selectors = [parse_selector(t) for t in ("@data1", "lms@app2", "@app*")]
    assert hosts_of_all(selectors, INVENTORY) == ("app1", "app2", "data1")
    assert hosts_of_all([], INVENTORY) == tuple(INVENTORY.hosts)


def test_a_host_that_is_not_there_is_told_with_the_nearest_name() -> None:
    with pytest.raises(InventoryError, match="no host or group matches 'ap1'; did you mean 'app1'"):
        hosts_of(parse_selector("lms@ap1"), INVENTORY)


@pytest.mark.parametrize(
    ("program", "unit", "matches"),
    [
        ("*", "edxapp_worker:lms_default_1", True),
        ("lms_*", "edxapp_worker:lms_default_1", True),
        ("edxapp_worker:lms_default_1", "edxapp_worker:lms_default_1", True),
        ("lms_high_1", "edxapp_worker:lms_default_1", False),
        ("nginx", "nginx.service", True),
    ],
)
def test_which_units(program: str, unit: str, matches: bool) -> None:
    assert Selector(program=program).matches_unit(unit) is matches


@given(st.text(max_size=40))
def test_any_text_is_a_selector_or_told_why_not(text: str) -> None:
    try:
        selector = parse_selector(text)
    except InventoryError:
        return
    assert parse_selector(str(selector)) == selector
