"""Which component a unit, a process or a port belongs to. Pure, compiled once, cached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TypeVar, get_args

from edxconsole.catalog.argv import Kind, Said, read_argv
from edxconsole.catalog.model import Catalog, Component

K = TypeVar("K")
MAX_ARGV = 4096
"""characters of a joined argv that are looked at"""
_CACHE = 8192
KINDS: tuple[Kind, ...] = get_args(Kind)
"""fields of a Signature that hold names"""


@dataclass(slots=True)
class _Compiled:
    """The patterns of one catalog."""

    catalog: Catalog
    units: dict[str, dict[str, str]]
    """manager kind -> a unit's whole name -> component"""
    patterns: dict[str, list[tuple[re.Pattern[str], str]]]
    """manager kind -> names with wildcards"""
    names: dict[tuple[str, str], str]
    """(kind, name in a signature) -> component"""
    beginnings: dict[str, list[tuple[str, str]]]
    """kind -> names ending with "*", without it, the longest first"""
    argv: list[tuple[re.Pattern[str], str]]
    masters: dict[str, str]
    comm: dict[str, str]
    ports: dict[int, str]
    sockets: dict[str, str]
    seen: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    seen_units: dict[tuple[str, str], str] = field(default_factory=dict)


_last: _Compiled | None = None


def component_of_unit(catalog: Catalog, kind: str, name: str, aliases: Sequence[str] = ()) -> str:
    """Component id of a unit by its name, else by one of its aliases; "" when none.

    Args:
        kind: supervisor, systemd, sysv, compose or docker (Unit.kind).
        name: as the manager says it: "edxapp:lms", "nginx.service"; of a container its compose service.
    """
    found = (_component_of_name(catalog, kind, n) for n in (name, *aliases))
    return next((component for component in found if component), "")


def _component_of_name(catalog: Catalog, kind: str, name: str) -> str:
    compiled = _compile(catalog)
    key = (kind, name)
    known = compiled.seen_units.get(key)
    if known is None:
        known = compiled.units.get(kind, {}).get(name, "")
        patterns = () if known else compiled.patterns.get(kind, ())
        known = known or next((component for pattern, component in patterns if pattern.match(name)), "")
        _remember(compiled.seen_units, key, known)
    return known


def component_of_process(catalog: Catalog, comm: str, argv: Sequence[str]) -> str:
    """Component id of a process by its argv, else by its comm; "" when none."""
    compiled = _compile(catalog)
    key = (comm, tuple(argv))
    known = compiled.seen.get(key)
    if known is None:
        known = next(_claims(compiled, joined(argv)), "") or compiled.comm.get(comm, "")
        _remember(compiled.seen, key, known)
    return known


def claims(catalog: Catalog, argv: Sequence[str]) -> frozenset[str]:
    """Every component whose signature takes an argv for its own: at most one in a catalog that is right."""
    return frozenset(_claims(_compile(catalog), joined(argv)))


def _claims(compiled: _Compiled, text: str) -> Iterator[str]:
    said = read_argv(text.split())
    named = _named(compiled, said) if said is not None else ""
    if named:
        yield named
    for pattern, component in compiled.argv:
        if pattern.search(text):
            yield component


def _named(compiled: _Compiled, said: Said) -> str:
    """By the most telling key that any signature knows."""
    for key in said.keys:
        exact = compiled.names.get((said.kind, key))
        if exact is not None:
            return exact
        for beginning, component in compiled.beginnings.get(said.kind, ()):
            if key.startswith(beginning):
                return component
    return ""


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
    return pattern is not None and re.search(pattern, joined(argv)) is not None


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
    sockets: dict[str, str] = {}
    for component in components:
        for name in component.signature.comm:
            comm.setdefault(name, component.id)
        for listener in component.listeners:
            if listener.unix is not None:
                sockets.setdefault(listener.unix, component.id)
    kinds = ("supervisor", "systemd", "sysv", "compose")
    units = {kind: _unit_names(kind, components) for kind in kinds}
    units["docker"] = units["compose"]
    names, beginnings = _signature_names(components)
    return _Compiled(
        catalog=catalog,
        units={kind: whole for kind, (whole, _) in units.items()},
        patterns={kind: patterns for kind, (_, patterns) in units.items()},
        names=names,
        beginnings=beginnings,
        argv=[(re.compile(text), c.id) for c in components for text in c.signature.argv],
        masters={c.id: c.signature.master for c in components if c.signature.master},
        comm=comm,
        ports=_telling_ports(components),
        sockets=sockets,
    )


def _telling_ports(components: list[Component]) -> dict[int, str]:
    """Ports that tell whose they are: those of two components tell nothing."""
    owners: dict[int, set[str]] = {}
    for component in components:
        for listener in component.listeners:
            if listener.port is not None:
                owners.setdefault(listener.port, set()).add(component.id)
    return {port: next(iter(ids)) for port, ids in owners.items() if len(ids) == 1}


def _signature_names(
    components: list[Component],
) -> tuple[dict[tuple[str, str], str], dict[str, list[tuple[str, str]]]]:
    names: dict[tuple[str, str], str] = {}
    beginnings: dict[str, list[tuple[str, str]]] = {}
    for component in components:
        for kind in KINDS:
            for name in getattr(component.signature, kind):
                if name.endswith("*"):
                    beginnings.setdefault(kind, []).append((name[:-1], component.id))
                else:
                    names.setdefault((kind, name), component.id)
    for known in beginnings.values():
        known.sort(key=lambda pair: -len(pair[0]))
    return names, beginnings


def _unit_names(
    kind: str, components: list[Component]
) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """Names without wildcards apart from the others: "lms" never loses to somebody's "l*"."""
    whole: dict[str, str] = {}
    patterns: list[tuple[re.Pattern[str], str]] = []
    for component in components:
        for name in getattr(component.managers, kind):
            if any(sign in name for sign in "*?["):
                patterns.append((re.compile(translate(name)), component.id))
            else:
                whole.setdefault(name, component.id)
    return whole, patterns
