"""ProgramTable: supervisor's programs on one host, in supervisor's own words."""

from __future__ import annotations

from edxconsole.cluster.model import HostSnapshot, SupervisorInfo
from edxconsole.cluster.units import Unit, UnitHealth
from widgets.cells import Cell, Column, Row, cell
from widgets.clock import Clock
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import unit_on
from widgets.words import short_since

COLUMNS = (
    Column("  program", 26, 0, grow=3, most=40),
    Column("state", 11, 0),
    Column("pid", 7, 2, right=True),
    Column("since", 6, 1, right=True),
    Column("detail", 8, 3, grow=2),
    Column("of", 8, 4, grow=1, most=24),
)


class ProgramTable(RowTable):
    """Keys are "MANAGER/PROGRAM"."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__("SUPERVISOR", COLUMNS, id=id, empty="no supervisord on this host")
        self._clock = clock
        self._said = ""

    def show_host(self, host: HostSnapshot) -> None:
        """The programs of every supervisord of a host."""
        now = self._clock.now()
        several = len(host.supervisors) > 1
        self._said = _say(host.supervisors)
        self.columns = COLUMNS if several else COLUMNS[:-1]
        units = [u for u in host.units.values() if u.kind == "supervisor"]
        self.show(_row(host, unit, several, now) for unit in units)

    def _say_count(self) -> None:
        super()._say_count()
        if self._said and not self.match:
            self.set_note(f"{self.note}  {self._said}".strip())


def _say(supervisors: tuple[SupervisorInfo, ...]) -> str:
    """ "3.2.3 RUNNING, /edx/etc/supervisord.conf" for one, errors first."""
    errors = [s.error for s in supervisors if s.error]
    if errors:
        return "; ".join(errors)
    if len(supervisors) == 1:
        one = supervisors[0]
        return f"supervisord {one.version} {one.word}".strip()
    return f"{len(supervisors)} supervisords" if supervisors else ""


def _row(host: HostSnapshot, unit: Unit, several: bool, now: float) -> Row:
    look = unit_on(host, unit.health)
    running = unit.health is UnitHealth.RUNNING
    word = unit.word if host.trusted else look.word
    when = short_since(unit.since, now) if unit.since is not None else ""
    cells: tuple[Cell, ...] = (
        Cell(((f"{look.glyph} ", look.role), (unit.name, Role.STRONG if running else Role.TEXT))),
        cell(word, Role.DIM if look.role is Role.UP else look.role),
        cell(str(unit.identity.pid) if unit.identity.pid else "", Role.DIM),
        cell(when, Role.DIM),
        cell(unit.detail, Role.DIM if running else Role.TEXT),
    )
    if several:
        cells += (cell(unit.manager.partition(":")[2].rpartition("/")[2], Role.DIM),)
    return Row(f"{unit.manager}/{unit.name}", cells, aged=not host.trusted)
