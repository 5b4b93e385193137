"""Which component a unit, a process or a port belongs to. Pure, compiled once, cached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TypeVar

from edxconsole.catalog.model import Catalog, Component

K = TypeVar("K")
MAX_ARGV = 4096
"""characters of a joined argv that are looked at"""
_CACHE = 8192
_ENTRIES = {"supervisor": "supervisor", "systemd": "systemd", "sysv": "sysv", "docker": "compose"}
"""Unit.kind -> the ManagerEntry that has its names"""


@dataclass(slots=True)
class _Compiled:
    """The patterns of one catalog."""

    catalog: Catalog
    units: dict[str, list[tuple[re.Pattern[str], str]]]
    argv: list[tuple[re.Pattern[str], str]]
    masters: dict[str, re.Pattern[str]]
    comm: dict[str, str]
    ports: dict[int, str]
    sockets: dict[str, str]
    seen: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    seen_units: dict[tuple[str, str], str] = field(default_factory=dict)


_last: _Compiled | None = None


def component_of_unit(catalog: Catalog, kind: str, name: str, aliases: Sequence[str] = ()) -> str:
    """Component id of a unit by its name, else by one of its aliases; "" when none.

    Args:
        kind: supervisor, systemd, sysv or docker (Unit.kind).
        name: as the manager says it: "edxapp:lms", "nginx.service".
    """
    found = (_component_of_name(catalog, kind, n) for n in (name, *aliases))
    return next((component for component in found if component), "")


def _component_of_name(catalog: Catalog, kind: str, name: str) -> str:
    compiled = _compile(catalog)
    key = (kind, name)
    known = compiled.seen_units.get(key)
    if known is None:
        patterns = compiled.units.get(kind, [])
        known = next((component for pattern, component in patterns if pattern.match(name)), "")
        _remember(compiled.seen_units, key, known)
    return known


def component_of_process(catalog: Catalog, comm: str, argv: Sequence[str]) -> str:
    """Component id of a process by its argv, else by its comm; "" when none."""
    compiled = _compile(catalog)
    key = (comm, tuple(argv))
    known = compiled.seen.get(key)
    if known is None:
        text = joined(argv)
        known = next((component for pattern, component in compiled.argv if pattern.search(text)), "")
        known = known or compiled.comm.get(comm, "")
        _remember(compiled.seen, key, known)
    return known


def component_of_port(catalog: Catalog, port: int) -> str:
    """Component id that usually listens on a TCP port: a guess; "" when none."""
    return _compile(catalog).ports.get(port, "")


def component_of_socket(catalog: Catalog, path: str) -> str:
    """Component id that usually listens on a UNIX socket: a guess; "" when none.

    supervisord binds under a temporary name, so `supervisor.sock.<pid>` counts as well.
    """
    sockets = _compile(catalog).sockets
    return sockets.get(path) or sockets.get(re.sub(r"\.\d+$", "", path), "")


def is_master(catalog: Catalog, component: str, argv: Sequence[str]) -> bool:
    """Whether a process may be the one to signal. A worker that never changed its title also
    says yes: of several, the master is the one whose parent is not among them."""
    pattern = _compile(catalog).masters.get(component)
    return pattern is not None and pattern.search(joined(argv)) is not None


def joined(argv: Sequence[str]) -> str:
    """An argv as signatures see it: space-joined, bounded, without trailing blanks."""
    return " ".join(argv)[:MAX_ARGV].rstrip()


def _remember(cache: dict[K, str], key: K, value: str) -> None:
    if len(cache) >= _CACHE:
        cache.clear()
    cache[key] = value


def _compile(catalog: Catalog) -> _Compiled:
    global _last
    compiled = _last
    if compiled is None or compiled.catalog is not catalog:
        compiled = _last = _build(catalog)
    return compiled


def _build(catalog: Catalog) -> _Compiled:
    components = list(catalog.components.values())
    comm: dict[str, str] = {}
    ports: dict[int, str] = {}
    sockets: dict[str, str] = {}
    for component in components:
        for name in component.signature.comm:
            comm.setdefault(name, component.id)
        for listener in component.listeners:
            if listener.port is not None:
                ports.setdefault(listener.port, component.id)
            if listener.unix is not None:
                sockets.setdefault(listener.unix, component.id)
    return _Compiled(
        catalog=catalog,
        units={kind: _unit_patterns(entry, components) for kind, entry in _ENTRIES.items()},
        argv=[(re.compile(text), c.id) for c in components for text in c.signature.argv],
        masters={c.id: re.compile(c.signature.master) for c in components if c.signature.master},
        comm=comm,
        ports=ports,
        sockets=sockets,
    )


def _unit_patterns(entry: str, components: list[Component]) -> list[tuple[re.Pattern[str], str]]:
    """Names without wildcards first, so that "lms" never loses to somebody's "l*"."""
    pairs = [(text, c.id) for c in components for text in getattr(c.managers, entry)]
    pairs.sort(key=lambda pair: any(sign in pair[0] for sign in "*?["))
    return [(re.compile(translate(text)), component) for text, component in pairs]
