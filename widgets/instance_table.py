"""InstanceTable: one component on every host that has it or should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edxconsole.cluster.model import HostSnapshot, Instance, Process, State
from edxconsole.cluster.running import health_of, names_of, processes_of, users_of
from widgets.cells import Cell, Column, Row, cell
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import STATE, link_look, state_on
from widgets.words import short_since, size, told

COLUMNS = (
    Column("  host", 10, 0, grow=1, most=24),
    Column("state", 12, 0),
    Column("since", 6, 5, right=True),
    Column("link", 10, 5),
    Column("workers", 9, 2),
    Column("ports", 10, 2, grow=3, most=32),
    Column("user", 9, 4, grow=1, most=20),
    Column("process", 10, 6, grow=1, most=24),
    Column("pids", 7, 4, grow=1, most=12),
    Column("cpu", 6, 7, right=True),
    Column("memory", 7, 7, right=True),
    Column("managed as", 12, 6, grow=1, most=30),
    Column("health", 16, 3, grow=4, most=44),
    Column("log", 15, 4, grow=2, most=48, tail=True),
    Column("because", 14, 1, grow=2),
)
Logs = Mapping[str, str]
"""host -> the log file of a component to look at first there"""


class InstanceTable(RowTable):
    """Keys are host names."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("INSTANCES", COLUMNS, id=id, empty="on no host, and expected on none", header_from=3)
        self._clock = clock

    def show_component(self, hosts: Iterable[HostSnapshot], component: str, logs: Logs) -> None:
        """Where the component is."""
        pairs = ((h, i) for h in hosts for i in h.instances if i.component == component)
        self.show(self._row(host, instance, logs.get(host.name, "")) for host, instance in pairs)

    def _row(self, host: HostSnapshot, instance: Instance, log: str) -> Row:
        look, link = state_on(host, instance.state), link_look(host, self._clock)
        now = self._clock.now()
        processes = processes_of(host, instance)
        cells = (
            Cell(((f"{look.glyph} ", look.role), (host.name, Role.STRONG))),
            cell(look.word, look.role),
            cell(short_since(instance.since, now) if instance.since is not None else "—", Role.DIM),
            cell(link.word, Role.DIM if host.trusted else link.role),
            _workers(instance),
            cell(", ".join(map(str, instance.ports)), Role.TEXT),
            cell(", ".join(users_of(processes)), Role.TEXT),
            cell(", ".join(names_of(processes)), Role.DIM),
            _pids(processes, instance),
            cell(f"{sum(p.cpu for p in processes):.1f}%" if processes else "", Role.DIM),
            cell(size(sum(p.rss for p in processes)) if processes else "", Role.DIM),
            cell(" ".join(u.rpartition("/")[2] for u in instance.units), Role.DIM),
            _health(host, instance),
            cell(log, Role.DIM),
            cell("" if look.role is Role.UP else told(instance.reason)),
        )
        return Row(host.name, cells, aged=not host.trusted)


def _pids(processes: Sequence[Process], instance: Instance) -> Cell:
    """The first one, which the others come from, and how many more there are: "812 +4"."""
    pids = [p.pid for p in processes] or list(instance.pids)
    more = f" +{len(pids) - 1}" if len(pids) > 1 else ""
    return cell(f"{pids[0]}{more}" if pids else "", Role.DIM)


def _health(host: HostSnapshot, instance: Instance) -> Cell:
    """The worst answer of its checks; that there is no check where nothing was asked."""
    answer = health_of(instance)
    if answer is None:
        return cell("no check" if instance.pids else "", Role.DIM)
    look = STATE[answer.state]
    if not host.trusted:
        return Cell((("≈ ", Role.STALE), (told(answer.text), Role.STALE)))
    return Cell(((f"{look.glyph} ", look.role), (told(answer.text), Role.DIM)))


def _workers(instance: Instance) -> Cell:
    """ "3/4 usual": found, of those that are usual; amber where that is why it is degraded."""
    expected, found = instance.workers_expected, instance.workers_found
    if expected is None and found is None:
        return cell("")
    text = "?" if found is None else str(found)
    text += f"/{expected} usual" if expected is not None else " found"
    short = instance.state is State.DEGRADED and found != expected
    return cell(text, Role.DEGRADED if short else Role.DIM)
