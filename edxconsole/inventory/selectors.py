"""Selectors, the same on the command line, on screens and in plans.

    component[:program]@host-or-group        lms@app*   edxapp_worker:*@app1   nginx   @data1   @all

Each part is a name or a shell-style pattern; a part left out matches everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from edxconsole.errors import InventoryError
from edxconsole.inventory.model import Inventory
from edxconsole.yamlwords import found, suggest

_PART = re.compile(r"[A-Za-z0-9._*?\[\]!/@+-]+")
MAX_LENGTH = 200
EXAMPLE = "write component[:program]@host, e.g. lms@app*, edxapp_worker:*@app1, @data1"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which components, programs and hosts are meant; "*" is everything."""

    component: str = "*"
    program: str = "*"
    host: str = "*"

    def __str__(self) -> str:
        if self.component == "*" and self.program == "*":
            return f"@{'all' if self.host == '*' else self.host}"
        program = f":{self.program}" if self.program != "*" else ""
        host = f"@{self.host}" if self.host != "*" else ""
        return f"{self.component}{program}{host}"

    def matches_component(self, component: str) -> bool:
        """Whether a component id is meant."""
        return fnmatchcase(component, self.component)

    def matches_unit(self, name: str) -> bool:
        """Whether a unit is meant by name: whole, after its group, or without ".service"."""
        short = name.rpartition(":")[2]
        names = (name, short, short.removesuffix(".service"))
        return any(fnmatchcase(candidate, self.program) for candidate in names)

    def matches_host(self, host: str, groups: Iterable[str] = ()) -> bool:
        """Whether a host is meant, by its own name or by one of its groups."""
        if self.host == "all":
            return True
        return any(fnmatchcase(name, self.host) for name in (host, *groups))


def parse_selector(text: str) -> Selector:
    """Raises InventoryError that says which part is wrong."""
    said = text.strip()
    if not said:
        raise InventoryError("the selector is empty", remedy=EXAMPLE)
    if len(said) > MAX_LENGTH:
        raise InventoryError(f"the selector is longer than {MAX_LENGTH} characters", remedy=EXAMPLE)
    what, at, host = said.partition("@")
    component, colon, program = what.partition(":")
    for part, present, name in ((host, at, "host"), (program, colon, "program")):
        if present and not part:
            raise InventoryError(f"selector {found(said)}: the {name} is missing", remedy=EXAMPLE)
    if colon and not component:
        raise InventoryError(f"selector {found(said)}: the component is missing", remedy=EXAMPLE)
    for part, name in ((component, "component"), (program, "program"), (host, "host")):
        _check_part(said, part, name)
    return Selector(component or "*", program or "*", "*" if host in ("", "all") else host)


def _check_part(said: str, part: str, name: str) -> None:
    if not part:
        return
    matched = _PART.match(part)
    end = matched.end() if matched else 0
    if part.startswith("-") or "@" in part:
        end = 0 if part.startswith("-") else part.index("@")
    elif end == len(part):
        return
    raise InventoryError(
        f"selector {found(said)}: {found(part[end])} can't stand in the {name} {found(part)}", remedy=EXAMPLE
    )


def groups_of(inventory: Inventory, host: str) -> tuple[str, ...]:
    """The groups a host is in, in file order."""
    return tuple(group for group, members in inventory.groups.items() if host in members)


def hosts_of(selector: Selector, inventory: Inventory) -> tuple[str, ...]:
    """The hosts a selector means, in file order. Raises InventoryError when there are none."""
    hosts = tuple(h for h in inventory.hosts if selector.matches_host(h, groups_of(inventory, h)))
    if not hosts:
        names = [*inventory.hosts, *inventory.groups]
        near = suggest(selector.host, names)
        raise InventoryError(f"selector {str(selector)!r}: no host or group matches {selector.host!r}{near}")
    return hosts


def hosts_of_all(selectors: Sequence[Selector], inventory: Inventory) -> tuple[str, ...]:
    """The hosts that any of the selectors means, in file order; all hosts without selectors."""
    if not selectors:
        return tuple(inventory.hosts)
    meant = {host for selector in selectors for host in hosts_of(selector, inventory)}
    return tuple(host for host in inventory.hosts if host in meant)
