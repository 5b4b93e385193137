"""FleetTable: every host with its link, load, memory and fullest disk."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.cluster.levels import CPU_LEVELS, DISK_GRADES, LOAD_LEVELS, MEMORY_LEVELS
from edxconsole.cluster.model import HostSnapshot, HostVitals, Link, State
from widgets.cells import Cell, Column, Row, bar, cell, grade
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import Look, link_look
from widgets.words import size

COLUMNS = (
    Column("  host", 10, 0, grow=2, most=28),
    Column("link", 16, 0),
    Column("load", 5, 1, right=True),
    Column("/core", 5, 6, right=True),
    Column("cpu", 12, 4),
    Column("memory", 12, 2),
    Column("of", 6, 7, right=True),
    Column("disk", 12, 3),
    Column("mount", 8, 8, grow=1, most=16),
    Column("services", 8, 2, right=True),
    Column("rtt", 6, 5, right=True),
)
_BAR = 7
_NOTHING = cell("—", Role.FAINT)


class FleetTable(RowTable):
    """Hosts down the side, in inventory order."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("HOSTS", COLUMNS, id=id, empty="no host in hosts.yaml", header_from=3)
        self._clock = clock
        self._made: dict[str, tuple[HostSnapshot, str, Row]] = {}

    def show_hosts(self, hosts: Iterable[HostSnapshot]) -> None:
        """The hosts as they are; a host that did not change costs a comparison."""
        rows = []
        for host in hosts:
            look = link_look(host, self._clock)
            made = self._made.get(host.name)
            if made is None or made[0] is not host or made[1] != look.word:
                made = (host, look.word, host_row(host, look))
                self._made[host.name] = made
            rows.append(made[2])
        self.show(rows)


def host_row(host: HostSnapshot, look: Look) -> Row:
    """The row of one host; without vitals the reason stands where they would."""
    name = Cell(((f"{look.glyph} ", look.role), (host.name, Role.STRONG)))
    link = cell(look.word, Role.DIM if host.link is Link.LIVE else look.role)
    search = f"{host.name} {look.word} {host.address} {' '.join(host.groups)} {host.reason}"
    vitals = host.vitals
    if vitals is None:
        blank = (_NOTHING,) * (len(COLUMNS) - 2)
        return Row(host.name, (name, link, *blank), search=search)
    cells = (
        name,
        link,
        _load(vitals),
        cell(f"{vitals.load[0] / max(1, vitals.cores):.2f}", Role.DIM),
        _gauge(vitals.cpu, CPU_LEVELS),
        _gauge(1 - vitals.mem_available / max(1, vitals.mem_total), MEMORY_LEVELS),
        cell(size(vitals.mem_total), Role.DIM),
        *_disk(vitals),
        _services(host),
        cell(f"{host.rtt * 1000:.0f} ms" if host.rtt is not None else "—", Role.DIM),
    )
    return Row(host.name, cells, aged=not host.trusted, search=search)


def _load(vitals: HostVitals) -> Cell:
    per_core = vitals.load[0] / max(1, vitals.cores)
    return cell(f"{vitals.load[0]:.2f}", grade(per_core, *LOAD_LEVELS, Role.TEXT))


def _gauge(fraction: float, levels: tuple[float, float]) -> Cell:
    role = grade(fraction, *levels)
    number = Role.TEXT if role is Role.DIM else role
    return Cell((*bar(fraction, _BAR, role), (f"{fraction:5.0%}", number)))


def _disk(vitals: HostVitals) -> tuple[Cell, Cell]:
    if not vitals.disks:
        return _NOTHING, _NOTHING
    fullest = max(vitals.disks, key=lambda d: 1 - d.free / max(1, d.total))
    used = 1 - fullest.free / max(1, fullest.total)
    return _gauge(used, DISK_GRADES), cell(fullest.mount, Role.DIM)


def _services(host: HostSnapshot) -> Cell:
    """How many component instances are up, of those that are there or should be."""
    total = len(host.instances)
    if not total:
        return _NOTHING
    if not host.trusted:
        return cell(f"?/{total}", Role.UNKNOWN)
    up = sum(i.state is State.UP for i in host.instances)
    return cell(f"{up}/{total}", Role.TEXT if up == total else Role.DEGRADED)
