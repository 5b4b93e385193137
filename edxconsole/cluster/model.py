"""The live truth as immutable snapshots. No I/O, no Textual, safe to read from any thread.

A HostSession builds a new HostSnapshot when something on its host changed (at most 20 a second)
and swaps it in whole; nobody ever changes one. Times: `at` is the host's moment translated to
the console's clock (epoch s), `seen` is the console's time.monotonic() at arrival.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from edxconsole.cluster.units import Identity, Unit

if TYPE_CHECKING:
    from edxconsole.probe.frames import Disk


class Link(StrEnum):
    """Where a host session stands."""

    WAITING = "waiting"
    """its turn to connect has not come"""
    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    PROBING = "probing"
    """logged in, the probe is starting"""
    LIVE = "live"
    STALE = "stale"
    """connected, but nothing heard for over 2.5 s"""
    LOST = "lost"
    """was live, connection gone; retrying"""
    BACKOFF = "backoff"
    """never was live; retrying"""
    REFUSED = "refused"
    """host key or authentication: no retry without the operator"""
    CLOSED = "closed"


class State(StrEnum):
    """The state of a component instance, program or host, as far as anyone can tell."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    """expected by hosts.yaml, nothing seen of it"""


@dataclass(frozen=True, slots=True)
class Age:
    """When a value was true on the host (console clock, epoch s) and when it arrived (monotonic s)."""

    at: float
    seen: float


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `cpu` percent of one core since the last sample; `rss` KiB."""

    pid: int
    start: int
    started_at: float
    ppid: int
    uid: int
    user: str
    comm: str
    argv: tuple[str, ...]
    state: str
    cpu: float
    rss: int
    threads: int
    contained: bool = False
    """inside a container: seen from the host, but not a service of the host"""

    @property
    def identity(self) -> Identity:
        return Identity(pid=self.pid, start=self.start)


@dataclass(frozen=True, slots=True)
class Listener:
    """One listening socket. `how`: owner, unit, guess or none (see probe.frames.ListenerRow)."""

    proto: str
    address: str
    port: int
    user: str
    pid: int | None
    how: str
    process: str
    """comm of the owner, "" when unknown"""
    component: str
    """component id by owner process, else by port guess, "" when none"""


@dataclass(frozen=True, slots=True)
class HostVitals:
    """Load, CPU fraction 0..1, memory and disks in KiB."""

    load: tuple[float, float, float]
    cpu: float
    cores: int
    mem_total: int
    mem_available: int
    swap_total: int
    swap_free: int
    disks: tuple[Disk, ...]


@dataclass(frozen=True, slots=True)
class SupervisorInfo:
    """One supervisord on the host, apart from its programs (those are Units)."""

    id: str
    """manager id, as in Unit.manager"""
    config: str
    endpoint: str
    owner: str
    version: str
    word: str
    """RUNNING, SHUTDOWN, RESTARTING, "unreadable" """
    identity: Identity
    error: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which observation says what: source (supervisor, process, listener, health), text, age."""

    source: str
    text: str
    state: State
    age: Age
    every: float | None = None
    """of a health check: seconds between two asks, about; None: it is not asked by itself"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One component on one host, as computed from catalog and observation."""

    component: str
    host: str
    state: State
    reason: str
    """one clause: why this state"""
    since: float | None
    """epoch s of the last change of state, console clock"""
    units: tuple[str, ...] = ()
    """names of Units that manage it, as "manager/name" keys into HostSnapshot.units"""
    pids: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    workers_expected: int | None = None
    workers_found: int | None = None
    evidence: tuple[Evidence, ...] = ()
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What watching this host costs it: probe CPU percent of one core, RSS in KiB."""

    cpu: float
    rss: int


EMPTY: Mapping[int, Process] = MappingProxyType({})
NO_UNITS: Mapping[str, Unit] = MappingProxyType({})
NO_AGES: Mapping[str, Age] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Everything known of one host at one moment. `version` grows with every change."""

    name: str
    version: int
    link: Link
    reason: str
    """one sentence: why the link is what it is; "" when live"""
    since: float
    """epoch s since when the link has been so"""
    address: str = ""
    user: str = ""
    transport: str = ""
    hostname: str = ""
    kernel: str = ""
    python: str = ""
    shell_probe: bool = False
    groups: tuple[str, ...] = ()
    rtt: float | None = None
    """seconds, measured by echo"""
    skew: float | None = None
    """host clock minus console clock, seconds"""
    skew_error: float | None = None
    vitals: HostVitals | None = None
    processes: Mapping[int, Process] = field(default_factory=lambda: EMPTY)
    listeners: tuple[Listener, ...] = ()
    supervisors: tuple[SupervisorInfo, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=lambda: NO_UNITS)
    """"manager/name" -> Unit"""
    restarting: frozenset[str] = frozenset()
    """keys into `units` of what restarted again and again in the last minute"""
    instances: tuple[Instance, ...] = ()
    ages: Mapping[str, Age] = field(default_factory=lambda: NO_AGES)
    """source (processes, listeners, vitals, supervisor, systemd, health:ID) -> Age"""
    notes: tuple[str, ...] = ()
    """what can't be seen and the remedy, one sentence each"""
    cost: Cost | None = None

    @property
    def trusted(self) -> bool:
        """Whether what it shows may be shown as current. False: nothing on it is green."""
        return self.link is Link.LIVE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing an operator should look at, worst first."""

    state: State
    host: str
    component: str
    """component id, or "" for the host itself"""
    text: str
    since: float | None


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """All hosts in inventory order, and the problems."""

    version: int
    name: str
    environment: str
    hosts: Mapping[str, HostSnapshot]
    problems: tuple[Problem, ...]
