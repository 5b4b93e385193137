"""How a state looks: a shape, a word and a role of ink, so that it never rests on colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from edxconsole.cluster.model import HostSnapshot, Link, State
from edxconsole.cluster.units import UnitHealth
from widgets.clock import Clock
from widgets.ink import Role
from widgets.words import span


@dataclass(frozen=True, slots=True)
class Look:
    """A glyph of one cell, a word, and the ink of both."""

    glyph: str
    word: str
    role: Role


STATE = {
    State.UP: Look("●", "up", Role.UP),
    State.DEGRADED: Look("◐", "degraded", Role.DEGRADED),
    State.DOWN: Look("✗", "down", Role.DOWN),
    State.UNKNOWN: Look("?", "unknown", Role.UNKNOWN),
    State.ABSENT: Look("○", "absent", Role.ABSENT),
}

UNIT = {
    UnitHealth.RUNNING: Look("●", "running", Role.UP),
    UnitHealth.STARTING: Look("◐", "starting", Role.DEGRADED),
    UnitHealth.STOPPING: Look("◐", "stopping", Role.DEGRADED),
    UnitHealth.STOPPED: Look("○", "stopped", Role.ABSENT),
    UnitHealth.EXITED: Look("○", "exited", Role.ABSENT),
    UnitHealth.FAILED: Look("✗", "failed", Role.DOWN),
    UnitHealth.UNKNOWN: Look("?", "unknown", Role.UNKNOWN),
}

LINK = {
    Link.WAITING: Look("·", "waiting", Role.DIM),
    Link.CONNECTING: Look("◌", "connecting", Role.DIM),
    Link.AUTHENTICATING: Look("◌", "logging in", Role.DIM),
    Link.PROBING: Look("◌", "starting probe", Role.DIM),
    Link.LIVE: Look("●", "live", Role.UP),
    Link.STALE: Look("≈", "stale", Role.DEGRADED),
    Link.LOST: Look("⊘", "lost", Role.DOWN),
    Link.BACKOFF: Look("⊘", "unreached", Role.DOWN),
    Link.REFUSED: Look("✗", "refused", Role.DOWN),
    Link.CLOSED: Look("○", "closed", Role.DIM),
}

_AGED = frozenset({Link.STALE, Link.LOST, Link.BACKOFF})


def state_on(host: HostSnapshot, state: State) -> Look:
    """The state of something on a host: only on a live host may it look current.

    On a stale host it looks aged ("was up"); on a lost one it is unknown, whatever it was.
    """
    if host.link is Link.LIVE:
        return STATE[state]
    known = state is not State.UNKNOWN and host.link in (Link.STALE, Link.LOST)
    word = f"was {STATE[state].word}" if known else "unknown"
    return Look("≈", word, Role.STALE) if host.link is Link.STALE else Look("?", word, Role.UNKNOWN)


def unit_on(host: HostSnapshot, health: UnitHealth) -> Look:
    """As state_on, for a unit of a service manager."""
    if host.link is Link.LIVE:
        return UNIT[health]
    was = f"was {UNIT[health].word}"
    return Look("≈", was, Role.STALE) if host.link is Link.STALE else Look("?", was, Role.UNKNOWN)


def silence(host: HostSnapshot, clock: Clock) -> float:
    """Seconds since anything was heard from this host."""
    heard = max((age.seen for age in host.ages.values()), default=None)
    return clock.now() - host.since if heard is None else clock.monotonic() - heard


def link_look(host: HostSnapshot, clock: Clock) -> Look:
    """The link with its age in words where age is the point: "stale 4 s", "lost 2 min"."""
    look = LINK[host.link]
    if host.link not in _AGED:
        return look
    age = silence(host, clock) if host.link is Link.STALE else clock.now() - host.since
    return Look(look.glyph, f"{look.word} {span(age)}", look.role)
