"""What a hosts.yaml says, as plain data, and the quick way to it for a file without mistakes.

`hostsfile` knows every mistake and its words, but needs pydantic, which takes a third as long to import
as Textual. The quick way accepts only what is right beyond doubt and leaves the rest to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edxconsole.inventory.model import Environment
from edxconsole.inventory.names import (
    MAX_SITES,
    check_address,
    check_host_name,
    check_path,
    check_site,
    check_user,
)

Right = Callable[[Any], bool]
"""Whether a value is right; one that is not may also be told by a ValueError."""


@dataclass(frozen=True, slots=True)
class Said:
    """A hosts.yaml without its nulls; names and values are right, references not yet checked."""

    cluster: str
    environment: Environment
    defaults: dict[str, Any]
    hosts: dict[str, dict[str, Any]]
    groups: dict[str, tuple[str, ...]]
    expect: dict[str, tuple[str, ...]]
    sites: tuple[str, ...]
    catalog: str | None


def said_plainly(data: object) -> Said | None:
    """What a parsed file says; None where anything in it might be a mistake."""
    try:
        return _said(data)
    except (_Unusual, ValueError):
        return None


class _Unusual(Exception):
    """A value that only pydantic can judge."""


def _said(data: object) -> Said:
    given = _given(data, _FILE)
    if "hosts" not in given:
        raise _Unusual
    environment = given.get("environment", Environment.PRODUCTION)
    return Said(
        cluster=given.get("cluster", "cluster"),
        environment=Environment(environment),
        defaults=_given(given.get("defaults"), _DEFAULTS),
        hosts={check_host_name(name): _given(body, _BODY) for name, body in given["hosts"].items()},
        groups={check_host_name(name): tuple(members) for name, members in given.get("groups", {}).items()},
        expect={place: tuple(ids) for place, ids in given.get("expect", {}).items()},
        sites=tuple(given.get("sites", ())),
        catalog=given.get("catalog"),
    )


def _given(body: object, rules: dict[str, Right]) -> dict[str, Any]:
    """A mapping without the keys that have no value. Raises _Unusual, ValueError."""
    if body is None:
        return {}
    if type(body) is not dict:
        raise _Unusual
    for key, value in body.items():
        empty = value is None and key not in _NEVER_EMPTY
        if key not in rules or not (empty or rules[key](value)):
            raise _Unusual
    return {key: value for key, value in body.items() if value is not None}


_NEVER_EMPTY = frozenset({"cluster", "environment", "hosts"})


def _text(least: int, most: int) -> Right:
    return lambda value: type(value) is str and least <= len(value) <= most


def _one_of(*words: str) -> Right:
    return lambda value: type(value) is str and value in words


def _checked(check: Callable[[str], str]) -> Right:
    return lambda value: type(value) is str and check(value) == value


def _mapping(value: object) -> bool:
    return type(value) is dict


def _lists(value: object) -> bool:
    """name -> list of words"""
    return type(value) is dict and all(
        type(words) is list and all(type(word) is str for word in words) for words in value.values()
    )


def _sites(value: object) -> bool:
    return (
        type(value) is list
        and len(value) <= MAX_SITES
        and all(type(name) is str and check_site(name) == name for name in value)
    )


_DEFAULTS: dict[str, Right] = {
    "port": lambda value: type(value) is int and 1 <= value <= 65535,
    "user": _checked(check_user),
    "jump": _checked(check_host_name),
    "proxy_command": _text(1, 1000),
    "transport": _one_of("asyncssh", "paramiko", "local"),
    "become": _one_of("sudo", "none"),
    "identity_file": _checked(check_path),
    "known_hosts": _checked(check_path),
    "ssh_config": _checked(check_path),
    "legacy_algorithms": lambda value: type(value) is bool,
    "python": _checked(check_path),
}
_BODY: dict[str, Right] = _DEFAULTS | {"address": _checked(check_address)}
_FILE: dict[str, Right] = {
    "cluster": _text(1, 60),
    "environment": _one_of(*Environment),
    "defaults": _mapping,
    "hosts": lambda value: type(value) is dict and len(value) > 0,
    "groups": _lists,
    "expect": _lists,
    "sites": _sites,
    "catalog": _checked(check_path),
}
