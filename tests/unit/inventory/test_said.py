"""The quick way to a hosts.yaml accepts nothing that the careful one refuses, and reads the same from it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.inventory.hostsfile import HostBody, HostsFile
from edxconsole.inventory.said import said_plainly
from edxconsole.yamlfile import read_yaml

EXAMPLE = Path(__file__).parents[3] / "hosts.yaml"

BODY: dict[str, Any] = {
    "address": "192.0.2.1",
    "port": 22,
    "user": "ops",
    "jump": "gate",
    "proxy_command": "nc %h %p",
    "transport": "paramiko",
    "become": "none",
    "identity_file": "~/.ssh/id",
    "known_hosts": "/k",
    "ssh_config": "c",
    "legacy_algorithms": True,
    "python": "/usr/bin/python3",
}
FULL: dict[str, Any] = {
    "cluster": "campus",
    "environment": "staging",
    "defaults": {key: BODY[key] for key in BODY if key != "address"},
    "hosts": {"a": BODY, "b": None, "c": {}},
    "groups": {"g": ["a", "b*"]},
    "expect": {"a": ["lms"]},
    "sites": ["courses.example.org", "studio.example.org"],
    "catalog": "./components",
}

words = st.one_of(
    st.sampled_from(
        ["a", "22", "true", "sudo", "local", "asyncssh", "staging", "-oX", "a b", "~/x", "a@b", ""]
    ),
    st.text(max_size=3),
)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70_000),
    st.floats(0, 100),
    words,
    st.lists(words, max_size=2),
    st.dictionaries(words, words, max_size=2),
)


places = st.one_of(
    st.tuples(st.sampled_from([*FULL, "extra"])),
    st.tuples(st.just("defaults"), st.sampled_from([*BODY, "adress"])),
    st.tuples(st.just("hosts"), words),
    st.tuples(st.just("hosts"), st.just("a"), st.sampled_from([*BODY, "adress"])),
    st.tuples(st.sampled_from(["groups", "expect"]), words),
)


@given(places, st.one_of(values, st.lists(values, max_size=2)))
def test_what_is_accepted_quickly_means_the_same(place: tuple[str, ...], value: Any) -> None:
    data = deepcopy(FULL)
    around = data
    for key in place[:-1]:
        around = around[key]
    around[place[-1]] = value
    said = said_plainly(data)
    if said is not None:
        assert HostsFile.model_validate(data).said() == said


@given(values)
def test_what_is_no_mapping_of_sections_is_left_to_the_careful_one(data: Any) -> None:
    assert said_plainly(data) is None


@pytest.mark.parametrize("key", FULL)
def test_every_right_section_is_accepted_quickly(key: str) -> None:
    data = {"hosts": FULL["hosts"], key: FULL[key]}
    assert said_plainly(data) == HostsFile.model_validate(data).said()


def test_every_key_of_a_host_is_known_to_both() -> None:
    assert set(BODY) == set(HostBody.model_fields)
    assert set(FULL) == set(HostsFile.model_fields)


def test_our_own_example_is_accepted_quickly() -> None:
    assert said_plainly(read_yaml(EXAMPLE).data) is not None
