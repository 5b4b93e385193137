"""Whatever a file holds, the loader gives an inventory or an InventoryError, never anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edxconsole.errors import InventoryError
from edxconsole.inventory.loader import load_inventory
from edxconsole.yamlfile import HOSTILE

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)
KEYS = st.sampled_from(["address", "port", "user", "jump", "transport", "become", "python", "x"])
FILES = st.fixed_dictionaries(
    {"hosts": st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.dictionaries(KEYS, TREES)))},
    optional={
        "cluster": TREES,
        "environment": TREES,
        "defaults": st.one_of(TREES, st.dictionaries(KEYS, TREES)),
        "groups": st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=3)),
        "expect": TREES,
    },
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "hosts.yaml"


def load(path: Path, data: bytes) -> str:
    """ "" when it loads, else what was said; anything but an InventoryError fails the test."""
    path.write_bytes(data)
    try:
        inventory = load_inventory(path, ("lms",))
    except InventoryError as error:
        said = str(error)
        assert str(path) in said
        assert not HOSTILE.search(said)
        return said
    for name, host in inventory.hosts.items():
        for word in (name, host.address or "a", host.user or "a", host.jump or "a"):
            assert not word.startswith("-")
            assert not any(c.isspace() or c in ";|&$`'\"<>" for c in word)
    return ""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes(path: Path, data: bytes) -> None:
    load(path, data)


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="{}[]:,-&*!|>'\"#%@`?\n\t abhostsx01\x1b\u202e", max_size=60))
def test_any_yaml_like_text(path: Path, text: str) -> None:
    load(path, text.encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(tree=FILES)
def test_any_tree_of_about_the_right_shape(path: Path, tree: dict[str, Any]) -> None:
    load(path, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=50, deadline=None)
@given(name=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
def test_every_plain_name_is_allowed(path: Path, name: str) -> None:
    if name != "all":
        assert load(path, f"hosts:\n  {json.dumps(name)}:\n".encode()) == ""
