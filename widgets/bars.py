"""One-line widgets at the edges: what holds for the whole console, and the keys that work here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.style import Style
from textual.strip import Strip

from edxconsole.cluster.model import ClusterSnapshot, Link
from widgets.canvas import Canvas
from widgets.clean import clip
from widgets.clock import Clock
from widgets.ink import Role
from widgets.words import clock_time

Runs = tuple[tuple[str, Role], ...]


class Line(Canvas, can_focus=False):
    """One line of runs to the left and to the right, which gives way; repaints only when they differ."""

    DEFAULT_CSS = """
    Line { height: 1; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self.left: Runs = ()
        self.right: Runs = ()

    def say(self, left: Runs, right: Runs = ()) -> None:
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.refresh()

    def _draw(self, y: int, width: int) -> Strip:
        ink = self.ink
        left = _take(tuple((self.safe(t), r) for t, r in self.left), width)
        right = tuple((self.safe(t), r) for t, r in self.right)
        used, wanted = _width(left), _width(right)
        if used + wanted + 1 > width:
            right = _take(right, max(0, width - used - 1))
            wanted = _width(right)
        gap = " " * max(0, width - used - wanted)
        runs: list[tuple[str, Style]] = [(text, ink[role]) for text, role in left]
        runs.append((gap, ink[Role.TEXT]))
        runs += [(text, ink[role]) for text, role in right]
        return self.line(runs, width)


def _width(runs: Runs) -> int:
    return sum(cell_len(text) for text, _ in runs)


def _take(runs: Runs, width: int) -> Runs:
    """The runs that fit, the last one cut with an ellipsis."""
    out: list[tuple[str, Role]] = []
    for text, role in runs:
        if width <= 0:
            break
        piece = clip(text, width)
        out.append((piece, role))
        width -= cell_len(piece)
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Armed:
    """How long acts are allowed for; None: read-only. `locked`: for the whole life of this console."""

    until: float | None = None
    locked: bool = False

    def words(self, now: float, monotonic: float) -> Runs:
        """ " READ-ONLY " or " ARMED until 09:41, 9 min left " """
        if self.until is None or self.until <= monotonic:
            return ((" READ-ONLY (locked) " if self.locked else " READ-ONLY ", Role.DIM),)
        left = self.until - monotonic
        words = f"{math.ceil(left / 60)} min left" if left > 60 else "less than 1 min left"
        return ((f" ARMED until {clock_time(now + left)[:5]}, {words} ", Role.ALARM),)


class StatusBar(Line):
    """Cluster, environment, armed or not; hosts by link; when something last changed."""

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock

    def show(self, cluster: ClusterSnapshot, place: str, armed: Armed, changed: float | None) -> None:
        """`place` is where we are ("app1 › lms"); `changed` epoch s of the last change seen."""
        production = cluster.environment == "production"
        ground = Role.ALARM if production else Role.DIM
        environment = cluster.environment.upper() if production else cluster.environment
        narrow = self.size.width < 110
        left: Runs = (
            ("" if narrow else " edxconsole ", Role.ACCENT),
            (f" {cluster.name} ", Role.STRONG),
            (f" {environment} ", ground),
            (" " if narrow else "  ", Role.TEXT),
            *armed.words(self._clock.now(), self._clock.monotonic()),
        )
        last = f"   changed {clock_time(changed)} " if changed is not None and not narrow else " "
        counts = host_counts(cluster)
        where = (f"{place}   " if place else "", Role.TEXT)
        self.say(left, (where, *(counts[1:] if narrow else counts), (last, Role.DIM)))


_WORDS = (
    ("live", frozenset({Link.LIVE}), Role.TEXT),
    ("connecting", frozenset({Link.WAITING, Link.CONNECTING, Link.AUTHENTICATING, Link.PROBING}), Role.DIM),
    ("stale", frozenset({Link.STALE}), Role.DEGRADED),
    ("lost", frozenset({Link.LOST}), Role.DOWN),
    ("unreached", frozenset({Link.BACKOFF}), Role.DOWN),
    ("refused", frozenset({Link.REFUSED}), Role.DOWN),
    ("closed", frozenset({Link.CLOSED}), Role.DIM),
)


def host_counts(cluster: ClusterSnapshot) -> Runs:
    """ "4 hosts: 2 live · 1 stale · 1 lost", only what there is."""
    links = [host.link for host in cluster.hosts.values()]
    runs: list[tuple[str, Role]] = [(f"{len(links)} {'host' if len(links) == 1 else 'hosts'} ", Role.DIM)]
    for word, kinds, role in _WORDS:
        if number := sum(link in kinds for link in links):
            runs.append((" · " if len(runs) > 1 else "", Role.FAINT))
            runs.append((f"{number} {word}", role))
    return tuple(runs)


class KeyBar(Line):
    """The keys that work here, most useful first."""

    def show(self, keys: Iterable[tuple[str, str]]) -> None:
        """Pairs of key and word; the last of those that don't fit are left out."""
        pairs = list(keys)
        wide = _needed(pairs, 3) <= self.size.width
        gap = 3 if wide else 2
        while len(pairs) > 1 and _needed(pairs, gap) > self.size.width > 0:
            pairs.pop()
        runs: list[tuple[str, Role]] = [(" ", Role.TEXT)]
        for n, (key, word) in enumerate(pairs):
            runs += [(key, Role.ACCENT), (f" {word}{' ' * gap if n < len(pairs) - 1 else ''}", Role.DIM)]
        self.say(tuple(runs))


def _needed(pairs: list[tuple[str, str]], gap: int) -> int:
    """Cells that keys and words take, one before them and `gap` between them."""
    return 1 + sum(cell_len(key) + 1 + cell_len(word) + gap for key, word in pairs) - gap
