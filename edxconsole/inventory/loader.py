"""hosts.yaml to an Inventory, or an InventoryError that names every mistake in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edxconsole.errors import InventoryError
from edxconsole.inventory.hostsfile import HostBody, HostDefaults, HostsFile
from edxconsole.inventory.model import Host, Inventory
from edxconsole.inventory.names import check_host_name
from edxconsole.settings import config_dir
from edxconsole.yamlfile import Document, read_yaml, validate
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
    typed = validate(document, HostsFile)
    if typed is None:
        document.raise_problems(InventoryError)
        raise InventoryError(f"{path}: can't be used")
    groups = _groups(document, typed)
    _check_hosts(document, typed)
    _check_expect(document, typed, components)
    document.raise_problems(InventoryError)
    base = path.absolute().parent
    return Inventory(
        path=path,
        cluster=typed.cluster,
        environment=typed.environment,
        hosts={name: _host(name, body, typed.defaults, base) for name, body in typed.hosts.items()},
        groups=groups,
        expect=typed.expect or {},
        catalog=_resolve(typed.catalog, base),
    )


def _host(name: str, body: HostBody | None, defaults: HostDefaults | None, base: Path) -> Host:
    said = _said(defaults) | _said(body)
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


def _said(model: HostDefaults | None) -> dict[str, Any]:
    return model.model_dump(exclude_none=True) if model else {}


def _resolve(text: str | None, base: Path) -> Path | None:
    return base / Path(os.path.expanduser(text)) if text is not None else None


def _groups(document: Document, typed: HostsFile) -> dict[str, tuple[str, ...]]:
    """Groups with their patterns expanded, in file order of the hosts they name."""
    result: dict[str, tuple[str, ...]] = {}
    for group, members in (typed.groups or {}).items():
        if group == RESERVED:
            document.report(("groups", group), "a group can't be called 'all', that is every host already")
        elif group in typed.hosts and members != (group,):
            text = f"a group can't be called {group!r}, that is a host; only that host alone may be in it"
            document.report(("groups", group), text)
        found: dict[str, None] = {}
        for index, member in enumerate(members):
            matched = match_names(member, typed.hosts)
            if not matched:
                text = f"no host is called {member!r}{suggest(member, typed.hosts)}"
                document.report(("groups", group, index), text)
            found.update(dict.fromkeys(matched))
        result[group] = tuple(found)
    return result


def match_names(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a shell-style pattern matches whole."""
    return [name for name in names if fnmatchcase(name, pattern)]


def _check_hosts(document: Document, typed: HostsFile) -> None:
    if RESERVED in typed.hosts:
        document.report(("hosts", RESERVED), "a host can't be called 'all', that is every host in selectors")
    for name, body in typed.hosts.items():
        if body is None:
            continue
        if body.transport == "local":
            for key in ("address", "jump", "port", "user"):
                if getattr(body, key) is not None:
                    document.report(("hosts", name, key), f"a local host has no {key}; remove it")
        if body.jump == name:
            document.report(("hosts", name, "jump"), "a host can't be its own jump host")
        elif (loop := _jump_loop(typed, name)) is not None:
            document.report(("hosts", name, "jump"), f"jump hosts go round in a circle: {loop}")


def _jump_loop(typed: HostsFile, start: str) -> str | None:
    """ "a -> b -> a" when following `jump:` from start comes back to it."""
    default = typed.defaults.jump if typed.defaults else None
    seen, name = [start], start
    while True:
        body = typed.hosts.get(name)
        jump = (body.jump if body else None) or default
        if jump is None or jump == name or jump not in typed.hosts:
            return None
        if jump in seen:
            return " -> ".join([*seen, jump]) if jump == start else None
        seen.append(jump)
        name = jump


def _check_expect(document: Document, typed: HostsFile, components: Collection[str] | None) -> None:
    places = [*typed.hosts, *(typed.groups or {})]
    for place, ids in (typed.expect or {}).items():
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
