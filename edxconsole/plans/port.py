"""What plans need of the engine, and nothing more."""

from __future__ import annotations

from typing import Protocol

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import ClusterSnapshot, Evidence
from edxconsole.inventory.model import Inventory
from edxconsole.services.base import ServiceManager
from edxconsole.transport.base import Transport


class EnginePort(Protocol):
    """The engine as plans see it. Everything here only reads; acts go through the interlock."""

    @property
    def inventory(self) -> Inventory: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def snapshot(self) -> ClusterSnapshot: ...

    def transport(self, host: str) -> Transport:
        """The live connection of a host. Raises ConnectionLost."""
        ...

    def manager(self, host: str, manager: str) -> ServiceManager:
        """Raises ServiceUnavailable."""
        ...

    async def check_health(self, host: str, component: str, *, container: str = "") -> tuple[Evidence, ...]:
        """Run every L2 health check of a component on a host now; () when it has none."""
        ...
