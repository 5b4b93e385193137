"""ChangeList: what changed lately, newest first, as this console saw it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link, State
from widgets.cells import Cell, Column, Row, cell
from widgets.ink import Role
from widgets.row_table import RowTable
from widgets.states import LINK, STATE, Look
from widgets.words import clock_time

COLUMNS = (
    Column("time", 8, 0),
    Column("where", 8, 0, grow=1, most=20),
    Column("what", 12, 1, grow=1, most=22),
    Column("became", 10, 0),
    Column("because", 14, 1, grow=8),
)
_MOST = 200
_COMING = frozenset({Link.WAITING, Link.CONNECTING, Link.AUTHENTICATING, Link.PROBING})


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that became something else. `component` is "" for the host's link."""

    number: int
    at: float
    host: str
    component: str
    look: Look
    text: str


class Changes:
    """Compares snapshots as they come; a host that is the same object costs one comparison.

    What is first seen is no change, and neither is not knowing: after down, unknown, down nothing
    has changed.
    """

    def __init__(self) -> None:
        self.newest: deque[Change] = deque(maxlen=_MOST)
        self.count = 0
        """how many there were in all"""
        self._links: dict[str, Link] = {}
        self._states: dict[tuple[str, str], State] = {}

    def note(self, old: ClusterSnapshot, new: ClusterSnapshot, now: float) -> None:
        """Remember what differs in links and component states."""
        for name, host in new.hosts.items():
            if old.hosts.get(name) is not host:
                for component, look, text in self._differences(host):
                    self.count += 1
                    self.newest.appendleft(Change(self.count, now, name, component, look, text))

    def _differences(self, host: HostSnapshot) -> Iterator[tuple[str, Look, str]]:
        if host.link not in _COMING:
            was = self._links.get(host.name)
            self._links[host.name] = host.link
            if was is not host.link and (was is not None or host.link is not Link.LIVE):
                yield "", LINK[host.link], host.reason
        for instance in host.instances if host.trusted else ():
            if instance.state is State.UNKNOWN:
                continue
            key = (host.name, instance.component)
            before = self._states.get(key)
            self._states[key] = instance.state
            if before is not None and before is not instance.state:
                yield instance.component, STATE[instance.state], instance.reason


class ChangeList(RowTable):
    """Rows are never changed once written; keys are "NUMBER host/component"."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("CHANGES SEEN", COLUMNS, id=id, empty="none since this console was opened")

    _shown = -1

    def show_changes(self, changes: Changes, titles: Mapping[str, str]) -> None:
        if self.heard and changes.count == self._shown:
            return
        self._shown = changes.count
        self.show(_row(c, titles.get(c.component, c.component) or "host") for c in changes.newest)


def _row(change: Change, title: str) -> Row:
    look = change.look
    return Row(
        f"{change.number} {change.host}/{change.component}",
        (
            cell(clock_time(change.at), Role.DIM),
            cell(change.host, Role.STRONG),
            cell(title, Role.TEXT if change.component else Role.DIM),
            Cell(((f"{look.glyph} ", look.role), (look.word, look.role))),
            cell(change.text, Role.DIM),
        ),
    )
