"""Open what a command works on: the inventory, its catalog, the hosts its selectors mean, an engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edxconsole.catalog.model import Catalog
from edxconsole.inventory.model import Inventory
from edxconsole.inventory.selectors import Selector, hosts_of_all, parse_selector

if TYPE_CHECKING:
    from edxconsole.engine import Engine


@dataclass(frozen=True, slots=True)
class Opened:
    """An inventory and its catalog, and what of it was asked for."""

    inventory: Inventory
    catalog: Catalog
    selectors: tuple[Selector, ...]
    hosts: tuple[str, ...]
    """the inventory names that the selectors mean, all without selectors"""

    def means(self, host: str, component: str) -> bool:
        """Whether an instance was asked for."""
        return not self.selectors or any(
            s.matches_component(component) and host in self._hosts_of(s) for s in self.selectors
        )

    def means_unit(self, host: str, component: str, unit: str) -> bool:
        """Whether a unit was asked for: by its component, or by its own name where there is none."""
        return not self.selectors or any(
            s.matches_unit(unit)
            and host in self._hosts_of(s)
            and any(s.matches_component(n) for n in (component, unit.rpartition(":")[2]) if n)
            for s in self.selectors
        )

    def _hosts_of(self, selector: Selector) -> tuple[str, ...]:
        return hosts_of_all((selector,), self.inventory)


def open_cluster(hosts: Path | None, selectors: Sequence[str] = ()) -> Opened:
    """The inventory, its catalog, and the selectors of a command line.

    Raises InventoryError, CatalogError.
    """
    context = click.get_current_context(silent=True)
    if hosts is None and context is not None and isinstance(context.obj, dict):
        hosts = context.obj.get("hosts")
    inventory, catalog = load_cluster(hosts)
    parsed = tuple(parse_selector(text) for text in selectors)
    return Opened(inventory, catalog, parsed, hosts_of_all(parsed, inventory))


def load_cluster(hosts: Path | None) -> tuple[Inventory, Catalog]:
    """hosts.yaml and the catalog it may add to, each checked against the other.

    Raises InventoryError, CatalogError.
    """
    from edxconsole.catalog.loader import load_catalog
    from edxconsole.inventory.loader import find_inventory, load_inventory

    path = find_inventory(hosts)
    catalog = load_catalog(load_inventory(path).catalog)
    return load_inventory(path, catalog.components), catalog


@asynccontextmanager
async def open_engine(hosts: Path | Opened | None, selectors: Sequence[str] = ()) -> AsyncIterator[Engine]:
    """An engine on the hosts that the selectors mean, connecting. Asks on the terminal if there is one.

    Args:
        hosts: a hosts.yaml, None for the usual one, or what open_cluster gave already.

    Raises InventoryError, CatalogError.
    """
    from edxconsole.commands.observing import prompter
    from edxconsole.engine import Engine

    opened = hosts if isinstance(hosts, Opened) else open_cluster(hosts, selectors)
    context = click.get_current_context(silent=True)
    read_only = context is not None and bool((context.find_root().obj or {}).get("read_only"))
    async with Engine(
        opened.inventory, opened.catalog, prompter=prompter(), hosts=opened.hosts, read_only=read_only
    ) as engine:
        yield engine
