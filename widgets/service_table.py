"""ServiceTable: what runs on one host: catalog components first, then other units of its init."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edxconsole.cluster.model import HostSnapshot, Instance, State
from edxconsole.cluster.units import Unit, UnitHealth
from widgets.cells import Cell, Column, Row, cell
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import Look, state_on, unit_on
from widgets.words import short_since, size, told

COLUMNS = (
    Column("  service", 18, 0, grow=2, most=30),
    Column("state", 10, 0),
    Column("since", 6, 3, right=True),
    Column("workers", 7, 4, right=True),
    Column("cpu", 5, 5, right=True),
    Column("memory", 6, 4, right=True),
    Column("because", 12, 2, grow=3),
)
_NONE = cell("", Role.FAINT)
_SHOWN = frozenset(
    {UnitHealth.RUNNING, UnitHealth.STARTING, UnitHealth.STOPPING, UnitHealth.FAILED, UnitHealth.UNKNOWN}
)


class ServiceTable(RowTable):
    """Keys are "c:COMPONENT" and "u:MANAGER/UNIT"."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("SERVICES", COLUMNS, id=id, empty="nothing of the catalog was found here")
        self._clock = clock

    def show_host(self, host: HostSnapshot, titles: Mapping[str, str]) -> None:
        """The services of one host."""
        now = self._clock.now()
        claimed = {key for i in host.instances for key in i.units}
        rows = [_instance_row(host, i, titles.get(i.component, i.component), now) for i in host.instances]
        rows += [_unit_row(host, u, now) for u in _others(host, claimed)]
        self.show(rows)


def _others(host: HostSnapshot, claimed: set[str]) -> Iterator[Unit]:
    for key, unit in host.units.items():
        if unit.kind != "supervisor" and key not in claimed and unit.health in _SHOWN:
            yield unit


def _instance_row(host: HostSnapshot, instance: Instance, title: str, now: float) -> Row:
    look = state_on(host, instance.state)
    expected, found = instance.workers_expected, instance.workers_found
    workers = _NONE
    if expected is not None or found is not None:
        short = instance.state is State.DEGRADED and found != expected
        workers = cell(
            f"{'?' if found is None else found}/{'?' if expected is None else expected}",
            Role.DEGRADED if short else Role.DIM,
        )
    processes = [host.processes[pid] for pid in instance.pids if pid in host.processes]
    cpu = cell(f"{sum(p.cpu for p in processes):.1f}%", Role.DIM) if processes else _NONE
    memory = cell(size(sum(p.rss for p in processes)), Role.DIM) if processes else _NONE
    cells = (*_name_state(look, title, Role.STRONG), _when(instance.since, now), workers, cpu, memory)
    reason = _NONE if look.role is Role.UP else cell(told(instance.reason))
    return Row(f"c:{instance.component}", (*cells, reason), aged=not host.trusted)


def _unit_row(host: HostSnapshot, unit: Unit, now: float) -> Row:
    look = unit_on(host, unit.health)
    process = host.processes.get(unit.identity.pid or 0)
    cpu = cell(f"{process.cpu:.1f}%", Role.DIM) if process else _NONE
    memory = cell(size(process.rss), Role.DIM) if process else _NONE
    text = f"{unit.word}  {unit.detail}".strip()
    cells = (*_name_state(look, unit.name, Role.DIM), _when(unit.since, now), _NONE, cpu, memory)
    return Row(f"u:{unit.manager}/{unit.name}", (*cells, cell(text, Role.DIM)), aged=not host.trusted)


def _name_state(look: Look, name: str, role: Role) -> tuple[Cell, Cell]:
    word = Role.DIM if look.role is Role.UP else look.role
    return Cell(((f"{look.glyph} ", look.role), (name, role))), cell(look.word, word)


def _when(at: float | None, now: float) -> Cell:
    if at is None:
        return _NONE
    return cell(short_since(at, now), Role.DIM)
