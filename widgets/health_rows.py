"""What is said of one health check of one host, in words. Pure: layout is health_lines.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import HostSnapshot
from edxconsole.health.asked import Asked
from widgets.clock import Clock
from widgets.ink import Role
from widgets.states import LINK, Look, state_on
from widgets.words import span, told

ON_DEMAND = "on demand"
_STEP = 5
"""seconds in which a young age is told, so that nothing is drawn anew each second"""
_ASKING = Look("◌", "asking", Role.ACCENT)
_NOT_ASKED = Look("○", "not asked", Role.ABSENT)
_UNKNOWN = Look("?", "unknown", Role.UNKNOWN)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check as it stands: listed, being asked, answered."""

    host: str
    check: Check
    asks: str
    """what it asks, and where"""
    asked: Asked | None = None
    """the last answer"""
    began: float | None = None
    """monotonic s since when it is being asked; None when it is not"""
    failed: str = ""
    """why the last asking came to nothing, a sentence"""

    @property
    def key(self) -> str:
        return f"{self.host}/{self.check.name}"

    @property
    def costly(self) -> bool:
        return self.check.spec.on_demand


@dataclass(frozen=True, slots=True)
class HealthRow:
    """All of it in words; equal to its successor when there is nothing else to be seen."""

    key: str
    host: str
    check: str
    level: str
    look: Look
    every: str
    took: str
    age: str
    asks: str
    text: str
    """what it answered, or why there is no answer"""
    role: Role
    proves: str
    cost: str


def health_rows(
    lines: Iterable[CheckLine], hosts: Mapping[str, HostSnapshot], clock: Clock
) -> Iterator[HealthRow]:
    """Checks on the hosts that there are. What several cost alike is told of the first of them."""
    told_on: dict[str, str] = {}
    for line in lines:
        if line.host not in hosts:
            continue
        row = health_row(line, hosts[line.host], clock)
        if row.look is _NOT_ASKED and row.cost and told_on.setdefault(row.cost, row.host) != row.host:
            row = replace(row, text=f"costs the same as on {told_on[row.cost]}")
        yield row


def health_row(line: CheckLine, host: HostSnapshot, clock: Clock) -> HealthRow:
    """A check on a host whose link is as it is now: on none but a live one does an answer look current."""
    spec, asked = line.check.spec, line.asked if not line.failed else None
    look, text, role = _answer(line, host)
    if line.began is not None:
        look = Look(_ASKING.glyph, f"asking {span(clock.monotonic() - line.began)}", _ASKING.role)
        role = Role.DIM
    return HealthRow(
        key=line.key,
        host=line.host,
        check=line.check.name,
        level=spec.level,
        look=look,
        every=ON_DEMAND if spec.on_demand else rate(spec.every),
        took=duration(asked.took) if asked is not None else "",
        age=_age(clock.monotonic() - asked.evidence.age.seen) if asked is not None else "",
        asks=line.asks,
        text=text,
        role=role,
        proves=spec.meaning,
        cost=spec.cost,
    )


def _answer(line: CheckLine, host: HostSnapshot) -> tuple[Look, str, Role]:
    if line.failed:
        return _UNKNOWN, line.failed, Role.UNKNOWN
    if line.asked is not None:
        return state_on(host, line.asked.evidence.state), told(line.asked.text), Role.TEXT
    if not host.trusted:
        because = f": {host.reason}" if host.reason else ""
        return _UNKNOWN, f"not asked, as {host.name} is {LINK[host.link].word}{because}", Role.UNKNOWN
    if line.costly:
        return _NOT_ASKED, f"costs: {line.check.spec.cost or 'more than the others'}", Role.DIM
    return _NOT_ASKED, "", Role.DIM


def rate(every: float) -> str:
    """Seconds between two asks, in the largest unit that tells them whole: "8 s", "90 s", "15 min"."""
    for unit, seconds in (("h", 3600), ("min", 60)):
        if every >= seconds and every % seconds == 0:
            return f"{every / seconds:g} {unit}"
    return f"{every:g} s"


def duration(seconds: float) -> str:
    """How long something took, to two digits or so: "41 ms", "1.3 s", "12 s"."""
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"


def _age(seconds: float) -> str:
    if seconds < _STEP:
        return "now"
    return span(seconds if seconds >= 60 else seconds // _STEP * _STEP)
