"""The service managers of every host, made from what was seen there and kept while it stays so."""

from __future__ import annotations

import asyncio

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import HostSnapshot
from edxconsole.errors import EdxconsoleError, ServiceUnavailable
from edxconsole.inventory.model import Inventory
from edxconsole.services.base import Capabilities, ServiceManager
from edxconsole.services.registry import managed_by, managers_for
from edxconsole.transport.base import Transport


class ManagerBook:
    """Managers by host and Unit.manager id. A new connection or another supervisord makes new ones."""

    def __init__(self, catalog: Catalog, inventory: Inventory) -> None:
        self._catalog = catalog
        self._inventory = inventory
        self._made: dict[str, tuple[object, dict[str, ServiceManager]]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def managers(self, transport: Transport, host: HostSnapshot) -> dict[str, ServiceManager]:
        """Every manager of a host."""
        token = (id(transport), transport, managed_by(host))
        known = self._made.get(host.name)
        if known is not None and known[0] == token:
            return known[1]
        if known is not None:
            self._retire(known[1])
        made = managers_for(host, transport, self._catalog, become=self._inventory.hosts[host.name].become)
        self._made[host.name] = (token, made)
        return made

    def manager(self, transport: Transport, host: HostSnapshot, manager: str) -> ServiceManager:
        """One manager. Raises ServiceUnavailable."""
        found = self.managers(transport, host).get(manager)
        if found is None:
            raise ServiceUnavailable(
                f"there is no service manager {manager}",
                host=host.name,
                remedy="see which there are with `edxconsole supervisor`",
            )
        return found

    async def capabilities(self, transport: Transport, host: HostSnapshot) -> dict[str, Capabilities]:
        """Manager id -> what it can do, asked at the same time; one that can't be asked is left out."""
        managers = self.managers(transport, host)
        answers = await asyncio.gather(*(m.capabilities() for m in managers.values()), return_exceptions=True)
        found: dict[str, Capabilities] = {}
        for name, answer in zip(managers, answers, strict=True):
            if isinstance(answer, Capabilities):
                found[name] = answer
            elif not isinstance(answer, EdxconsoleError):
                raise answer
        return found

    async def close(self) -> None:
        """Close every manager."""
        for _, managers in self._made.values():
            self._retire(managers)
        self._made = {}
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _retire(self, managers: dict[str, ServiceManager]) -> None:
        for manager in managers.values():
            task = asyncio.ensure_future(_closed(manager))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _closed(manager: ServiceManager) -> None:
    await manager.close()
