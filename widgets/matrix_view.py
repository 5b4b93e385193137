"""MatrixView: components down, hosts across, one state in each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.message import Message

from edxconsole.cluster.model import HostSnapshot, Instance, Link, State
from widgets.cells import Cell, Column, Row, cell
from widgets.commands import Command, bindings
from widgets.ink import Role
from widgets.row_table import GUTTER, RowTable
from widgets.states import state_on

_NAME_WIDTH = 16
_HOST_WIDTH = 11
_EMPTY = cell("·", Role.FAINT)


class HostRight(Command):
    """Move to the next host."""

    key, shown, title, action, palette = "right,l", "→", "Next host", "across(1)", False


class HostLeft(Command):
    """Move to the host before."""

    key, shown, title, action, palette = "left,h", "←", "Previous host", "across(-1)", False


class MatrixView(RowTable):
    """A cursor on one component of one host; hosts that don't fit are reached by moving across."""

    BINDINGS = bindings(HostRight, HostLeft)

    @dataclass
    class Chosen(Message):
        """Enter on a cell: a component, and the host of the cell."""

        component: str
        host: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("COMPONENTS", (Column("component", _NAME_WIDTH, 0),), id=id, empty="none found yet")
        self.hosts: tuple[str, ...] = ()
        self.across = 0
        """index of the host the cursor is on"""
        self._first = 0
        """index of the first host in view"""
        self._seen: tuple[tuple[Link, tuple[Instance, ...]], ...] = ()

    def show_matrix(self, hosts: Mapping[str, HostSnapshot], titles: Mapping[str, str]) -> None:
        """The cluster as it is; `titles` gives components in the catalog's order."""
        if tuple(hosts) != self.hosts:
            self._set_hosts(tuple(hosts))
        seen_now = tuple((h.link, h.instances) for h in hosts.values())
        if self.heard and _same(seen_now, self._seen):
            return
        self._seen = seen_now
        found = {name: {i.component: i for i in host.instances} for name, host in hosts.items()}
        seen = {component for instances in found.values() for component in instances}
        known = [c for c in titles if c in seen]
        order = [*known, *sorted(seen.difference(known))]
        self.show(
            Row(
                component,
                (
                    cell(titles.get(component, component), Role.STRONG),
                    *(_instance(host, found[name].get(component)) for name, host in hosts.items()),
                ),
            )
            for component in order
        )

    def _set_hosts(self, hosts: tuple[str, ...]) -> None:
        self.hosts = hosts
        self._seen = ()
        width = max([_HOST_WIDTH, *(len(h) for h in hosts)])
        self.columns = (
            Column("component", _NAME_WIDTH, 0, grow=2, most=24),
            *(Column(h, min(width, 18), 1, grow=1, most=22) for h in hosts),
        )
        self.across = min(self.across, max(0, len(hosts) - 1))
        self.refresh()

    @property
    def host(self) -> str:
        """The host the cursor is on, "" when there is none."""
        return self.hosts[self.across] if self.hosts else ""

    def shown_columns(self, width: int) -> list[tuple[int, int]]:
        fits = max(1, (width - GUTTER - _NAME_WIDTH) // (self._host_width() + 2))
        count = len(self.hosts)
        if fits >= count:
            self._first = 0
            return super().shown_columns(width)
        self._first = min(max(self._first, self.across - fits + 1), self.across, count - fits)
        window = range(self._first + 1, self._first + 1 + fits)
        return [(0, _NAME_WIDTH), *((i, self._host_width()) for i in window)]

    def _host_width(self) -> int:
        return self.columns[1].width if len(self.columns) > 1 else _HOST_WIDTH

    def extra_key(self, row: Row) -> object:
        return (self._first, self.hosts, self.across if row.key == self.cursor_key else -1)

    def cell_style(self, style: Style, row: Row, column: int) -> Style:
        if row.key == self.cursor_key and self.has_focus and column == self.across + 1:
            return style + Style(bold=True, underline=True)
        return style

    def action_across(self, step: int) -> None:
        if self.hosts:
            self.across = max(0, min(self.across + step, len(self.hosts) - 1))
            self.refresh()
            if self.cursor_key is not None:
                self.post_message(self.Moved(self, self.cursor_key))

    def action_open(self) -> None:
        if self.cursor_key is not None and self.rows:
            self.post_message(self.Chosen(self.cursor_key, self.host))


def _same(
    new: tuple[tuple[Link, tuple[Instance, ...]], ...], old: tuple[tuple[Link, tuple[Instance, ...]], ...]
) -> bool:
    """Whether every host has the same link and the very same instances: most snapshots differ elsewhere."""
    pairs = zip(new, old, strict=False)
    return len(new) == len(old) and all(a[0] is b[0] and a[1] is b[1] for a, b in pairs)


def _instance(host: HostSnapshot, instance: Instance | None) -> Cell:
    if instance is None:
        return _EMPTY
    look = state_on(host, instance.state)
    word = look.word
    expected, found = instance.workers_expected, instance.workers_found
    short = expected and found is not None and "worker" in instance.reason
    if host.trusted and instance.state is State.DEGRADED and short:
        word = f"{found}/{expected} workers"
    role = Role.DIM if look.role is Role.UP else look.role
    return Cell(((f"{look.glyph} ", look.role), (word, role)))
