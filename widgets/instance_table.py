"""InstanceTable: one component on every host that has it or should."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.cluster.model import HostSnapshot, Instance, State
from widgets.cells import Cell, Column, Row, cell
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import link_look, state_on
from widgets.words import since, size, told

COLUMNS = (
    Column("  host", 10, 0, grow=1, most=24),
    Column("state", 12, 0),
    Column("since", 12, 3, right=True),
    Column("link", 12, 4),
    Column("workers", 13, 2),
    Column("ports", 8, 2, grow=1, most=20),
    Column("pids", 6, 6, grow=1, most=24),
    Column("cpu", 6, 5, right=True),
    Column("memory", 7, 5, right=True),
    Column("managed as", 12, 5, grow=1, most=30),
    Column("because", 14, 1, grow=3),
)


class InstanceTable(RowTable):
    """Keys are host names."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("INSTANCES", COLUMNS, id=id, empty="on no host, and expected on none", header_from=3)
        self._clock = clock

    def show_component(self, hosts: Iterable[HostSnapshot], component: str) -> None:
        """Where the component is."""
        pairs = ((h, i) for h in hosts for i in h.instances if i.component == component)
        self.show(self._row(host, instance) for host, instance in pairs)

    def _row(self, host: HostSnapshot, instance: Instance) -> Row:
        look, link = state_on(host, instance.state), link_look(host, self._clock)
        now = self._clock.now()
        processes = [host.processes[pid] for pid in instance.pids if pid in host.processes]
        cells = (
            Cell(((f"{look.glyph} ", look.role), (host.name, Role.STRONG))),
            cell(look.word, look.role),
            cell(since(instance.since, now) if instance.since is not None else "—", Role.DIM),
            cell(link.word, Role.DIM if host.trusted else link.role),
            _workers(instance),
            cell(", ".join(map(str, instance.ports)), Role.TEXT),
            cell(" ".join(map(str, instance.pids)), Role.DIM),
            cell(f"{sum(p.cpu for p in processes):.1f}%" if processes else "", Role.DIM),
            cell(size(sum(p.rss for p in processes)) if processes else "", Role.DIM),
            cell(" ".join(u.rpartition("/")[2] for u in instance.units), Role.DIM),
            cell(told(instance.reason)),
        )
        return Row(host.name, cells, aged=not host.trusted)


def _workers(instance: Instance) -> Cell:
    """ "3 of 4 usual", amber where that is why it is degraded."""
    expected, found = instance.workers_expected, instance.workers_found
    if expected is None and found is None:
        return cell("")
    text = f"{'?' if found is None else found}" + (
        f" of {expected} usual" if expected is not None else " found"
    )
    short = instance.state is State.DEGRADED and found != expected
    return cell(text, Role.DEGRADED if short else Role.DIM)
