"""The JSON Schema that editors use says the same as the loader."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from edxconsole.errors import InventoryError
from edxconsole.inventory.loader import load_inventory
from edxconsole.inventory.schema import hosts_schema, hosts_schema_text

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "hosts.yaml"

GOOD = [
    "hosts: {a: }",
    "cluster: c\nenvironment: development\ndefaults: {user: ops}\nhosts: {a: {port: 22, become: sudo}}",
    "hosts: {a: {address: '::1'}, b: {jump: a}}\ngroups: {g: [a]}\nexpect: {g: [lms]}",
    "hosts: {a: }\nsites: [courses.example.org, Studio.Example.org, xn--bcher-kva.example, openedx]",
    "hosts: {a: }\nsites:",
]
BAD = [
    "hosts: {}",
    "hosts: {a: {adress: x}}",
    "hosts: {a: {port: ssh}}",
    "hosts: {a: {port: 70000}}",
    "hosts: {a b: }",
    "hosts: {a: {transport: telnet}}",
    "cluster: x",
    "hosts: {a: {become: su}}",
    "hosts: {a: {address: -oX}}",
    "hosts: {a: }\nsites: courses.example.org",
    "hosts: {a: }\nsites: [192.0.2.1]",
    "hosts: {a: }\nsites: ['https://courses.example.org']",
    "hosts: {a: }\nsites: ['*.example.org']",
    "hosts: {a: }\nsites: [a, b, c, d, e, f, g, h, i]",
    f"hosts: {{a: }}\nsites: [{'a.' * 127}a]",
]


def test_the_file_in_docs_is_the_generated_one() -> None:
    stored = (ROOT / "docs" / "hosts.schema.json").read_text()
    assert stored == hosts_schema_text(), "run `make schema`"


def test_it_is_a_valid_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(hosts_schema())


@pytest.mark.parametrize("text", GOOD)
def test_both_accept(tmp_path: Path, text: str) -> None:
    jsonschema.validate(yaml.safe_load(text), hosts_schema())
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    load_inventory(path)


@pytest.mark.parametrize("text", BAD)
def test_both_refuse(tmp_path: Path, text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), hosts_schema())
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    with pytest.raises(InventoryError):
        load_inventory(path)


def test_the_example_works_as_it_is() -> None:
    inventory = load_inventory(EXAMPLE)
    assert [h.transport for h in inventory.hosts.values()] == ["local"]
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), hosts_schema())


def test_what_the_example_shows_in_comments_works_too(tmp_path: Path) -> None:
    commented = EXAMPLE.read_text().partition("A real cluster looks like this:")[2]
    text = re.sub(r"(?m)^# ?", "", commented)
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    inventory = load_inventory(path)
    assert inventory.groups["app"] == ("app1", "app2")
    assert inventory.hosts["web1"].user == "ops"
    jsonschema.validate(yaml.safe_load(text), hosts_schema())
