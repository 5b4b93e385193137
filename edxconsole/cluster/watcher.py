"""How parts above the cluster (services, health) add what they see to a host's truth.

A Watcher runs for the life of one connection, in the engine's loop. It speaks to the host
through `host.transport` and reports through the HostPort; it never touches a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from edxconsole.cluster.model import Evidence, HostSnapshot
from edxconsole.cluster.units import Unit
from edxconsole.transport.base import Transport


class HostPort(Protocol):
    """What a HostSession lends a watcher."""

    @property
    def name(self) -> str: ...
    @property
    def transport(self) -> Transport: ...
    @property
    def snapshot(self) -> HostSnapshot: ...

    def report_units(self, manager: str, units: Iterable[Unit], *, at: float) -> None:
        """Replace all units of this manager. `at` epoch s when true, host clock."""
        ...

    def report_health(self, component: str, check: str, evidence: Evidence) -> None:
        """The newest answer of one health check of one component on this host."""
        ...

    def report_note(self, source: str, text: str | None) -> None:
        """What this watcher can't see and the remedy, in one sentence; None takes it back."""
        ...

    async def wait_change(self) -> None:
        """Return when processes, listeners or supervisor state of this host changed."""
        ...


class Watcher(Protocol):
    """One source of truth about a host beside the probe."""

    async def run(self, host: HostPort) -> None:
        """Watch until cancelled. An EdxconsoleError ends it and becomes a note; it is retried."""
        ...
