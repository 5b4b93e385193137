"""Which component a unit, process or listener of a host belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edxconsole.catalog.matching import (
    component_of_port,
    component_of_process,
    component_of_socket,
    component_of_unit,
)
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import Listener, Process
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit
from edxconsole.probe.frames import ListenerRow


class Attribution:
    """The catalog's matching (which remembers its answers) on the model's own types."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def unit(self, unit: Unit) -> str:
        """Component id, "" when none."""
        return component_of_unit(self.catalog, unit.kind, unit.name, unit.aliases)

    def process(self, process: Process) -> str:
        """Component id, "" when none, or when it runs in a container: its ports and logs are not here."""
        if process.contained:
            return ""
        return component_of_process(self.catalog, process.comm, process.argv)

    def units(self, units: Iterable[Unit]) -> dict[str, tuple[Unit, ...]]:
        """Component id -> its units, in the order given."""
        found: dict[str, list[Unit]] = {}
        for unit in units:
            component = self.unit(unit)
            if component:
                found.setdefault(component, []).append(unit)
        return {c: tuple(us) for c, us in found.items()}

    def by_component(self, processes: Mapping[int, Process]) -> dict[str, tuple[Process, ...]]:
        """Component id -> its processes, by pid."""
        found: dict[str, list[Process]] = {}
        for pid in sorted(processes):
            component = self.process(processes[pid])
            if component:
                found.setdefault(component, []).append(processes[pid])
        return {c: tuple(ps) for c, ps in found.items()}

    def listeners(
        self, rows: Iterable[ListenerRow], processes: Mapping[int, Process], users: Mapping[int, str]
    ) -> tuple[Listener, ...]:
        """Rows as shown: with the owner's name and the component it serves."""
        found = (self._listener(row, processes, users) for row in rows)
        return tuple(sorted(found, key=lambda s: (s.port == 0, s.port, s.address)))

    def _listener(
        self, row: ListenerRow, processes: Mapping[int, Process], users: Mapping[int, str]
    ) -> Listener:
        owner = processes.get(row.pid) if row.pid is not None else None
        shown = Listener(
            proto=clean_line(row.proto, 8),
            address=clean_line(row.address),
            port=row.port,
            user=users.get(row.uid) or str(row.uid),
            pid=row.pid,
            how=row.how,
            process=owner.comm if owner else "",
            component=self.process(owner) if owner else "",
        )
        if shown.component or owner:
            return shown
        return replace(shown, component=self._guess(row))

    def _guess(self, row: ListenerRow) -> str:
        if row.proto == "unix":
            return component_of_socket(self.catalog, row.address)
        return component_of_port(self.catalog, row.port)
