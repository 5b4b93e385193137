"""hosts.yaml to an Inventory, or an InventoryError that names every mistake in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edxconsole.errors import InventoryError
from edxconsole.inventory.model import Host, Inventory
from edxconsole.inventory.names import check_host_name
from edxconsole.inventory.said import Said, said_plainly
from edxconsole.settings import config_dir
from edxconsole.yamlfile import Document, read_yaml
from edxconsole.yamlwords import suggest

RESERVED = "all"


def find_inventory(explicit: Path | None = None) -> Path:
    """The hosts.yaml to use: --hosts, $EDXCONSOLE_HOSTS, ./hosts.yaml, then the XDG config directory.

    Raises InventoryError when there is none; one that was asked for by name but does not exist is
    never passed over.
    """
    if explicit is not None:
        return _existing(explicit, "--hosts")
    named = os.environ.get("EDXCONSOLE_HOSTS")
    if named:
        return _existing(Path(named), "EDXCONSOLE_HOSTS")
    usual = (Path("hosts.yaml"), config_dir() / "hosts.yaml")
    for path in usual:
        if path.exists():
            return path
    raise InventoryError(
        f"no inventory: neither ./{usual[0]} nor {usual[1]} exists",
        remedy="write one with `edxconsole init`, or name one with --hosts FILE",
    )


def _existing(path: Path, origin: str) -> Path:
    path = Path(os.path.expanduser(path))
    if not path.exists():
        raise InventoryError(f"{origin} names {path}, which does not exist", remedy="check the path")
    return path


def load_inventory(path: Path, components: Collection[str] | None = None) -> Inventory:
    """Read hosts.yaml.

    Args:
        path: the file; relative paths in it are relative to its directory.
        components: the catalog's ids; when given, `expect:` is checked against them.

    Raises InventoryError whose cause has one line per mistake: file, line, key, found, expected.
    """
    document = read_yaml(path)
    said = _said(document)
    if said is None:
        document.raise_problems(InventoryError)
        raise InventoryError(f"{path}: can't be used")
    groups = _groups(document, said)
    _check_hosts(document, said)
    _check_expect(document, said, components)
    _check_sites(document, said)
    document.raise_problems(InventoryError)
    base = path.absolute().parent
    return Inventory(
        path=path,
        cluster=said.cluster,
        environment=said.environment,
        hosts={name: _host(name, said.defaults | body, base) for name, body in said.hosts.items()},
        groups=groups,
        expect=said.expect,
        sites=tuple(site.lower() for site in said.sites),
        catalog=_resolve(said.catalog, base),
    )


def _said(document: Document) -> Said | None:
    """What the file says; None when it has mistakes of type or name, which are added to the document."""
    said = said_plainly(document.data)
    if said is not None:
        return said
    from edxconsole.inventory.hostsfile import HostsFile
    from edxconsole.yamlfile import validate

    typed = validate(document, HostsFile)
    return typed.said() if typed is not None else None


def _host(name: str, said: dict[str, Any], base: Path) -> Host:
    for key in ("identity_file", "known_hosts", "ssh_config"):
        if key in said:
            said[key] = _resolve(said[key], base)
    if said.get("become") == "none":
        del said["become"]
    if said.get("transport") == "local":
        said = {key: said[key] for key in ("transport", "become", "python") if key in said}
    elif said.get("jump") == name:
        del said["jump"]
    return Host(name=name, **said)


def _resolve(text: str | None, base: Path) -> Path | None:
    return base / Path(os.path.expanduser(text)) if text is not None else None


def _groups(document: Document, said: Said) -> dict[str, tuple[str, ...]]:
    """Groups with their patterns expanded, in file order of the hosts they name."""
    result: dict[str, tuple[str, ...]] = {}
    for group, members in said.groups.items():
        if group == RESERVED:
            document.report(("groups", group), "a group can't be called 'all', that is every host already")
        elif group in said.hosts and members != (group,):
            text = f"a group can't be called {group!r}, that is a host; only that host alone may be in it"
            document.report(("groups", group), text)
        found: dict[str, None] = {}
        for index, member in enumerate(members):
            matched = match_names(member, said.hosts)
            if not matched:
                text = f"no host is called {member!r}{suggest(member, said.hosts)}"
                document.report(("groups", group, index), text)
            found.update(dict.fromkeys(matched))
        result[group] = tuple(found)
    return result


def match_names(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a shell-style pattern matches whole."""
    return [name for name in names if fnmatchcase(name, pattern)]


def _check_hosts(document: Document, said: Said) -> None:
    if RESERVED in said.hosts:
        document.report(("hosts", RESERVED), "a host can't be called 'all', that is every host in selectors")
    for name, body in said.hosts.items():
        if body.get("transport") == "local":
            for key in ("address", "jump", "port", "user"):
                if key in body:
                    document.report(("hosts", name, key), f"a local host has no {key}; remove it")
        if body.get("jump") == name:
            document.report(("hosts", name, "jump"), "a host can't be its own jump host")
        elif (loop := _jump_loop(said, name)) is not None:
            document.report(("hosts", name, "jump"), f"jump hosts go round in a circle: {loop}")


def _jump_loop(said: Said, start: str) -> str | None:
    """ "a -> b -> a" when following `jump:` from start comes back to it."""
    seen, name = [start], start
    while True:
        jump = (said.defaults | said.hosts[name]).get("jump")
        if jump is None or jump == name or jump not in said.hosts:
            return None
        if jump in seen:
            return " -> ".join([*seen, jump]) if jump == start else None
        seen.append(jump)
        name = jump


def _check_expect(document: Document, said: Said, components: Collection[str] | None) -> None:
    places = [*said.hosts, *said.groups]
    for place, ids in said.expect.items():
        try:
            check_host_name(place)
            wrong = "" if place in places else f"no host or group is called {place!r}{suggest(place, places)}"
        except ValueError as error:
            wrong = str(error)
        if wrong:
            document.report(("expect", place), wrong)
        for index, component in enumerate(ids):
            if components is not None and component not in components:
                text = f"the catalog has no component {component!r}{suggest(component, sorted(components))}"
                document.report(("expect", place, index), text)


def _check_sites(document: Document, said: Said) -> None:
    seen: set[str] = set()
    for index, site in enumerate(said.sites):
        if site.lower() in seen:
            document.report(("sites", index), f"{site!r} is named twice; remove one")
        seen.add(site.lower())
