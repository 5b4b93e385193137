"""Units: what service managers call programs, services or jobs, as last observed. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

CONTAINERS = "docker"
"""the Unit.kind of containers: what runs in them has its ports, files and programs to itself"""

CONTAINER_LOG = "docker:"
"""begins what stands in Unit.log_paths for a container's own output: "docker:tutor_local:lms" """


class UnitHealth(StrEnum):
    """A manager's own word for a unit, folded to what an operator needs. RUNNING is not "healthy"."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """stopped on purpose, or never started"""
    EXITED = "exited"
    """ended by itself with an expected status"""
    FAILED = "failed"
    """FATAL, BACKOFF, failed"""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which incarnation of a unit. Two equal identities are the same run of the same process.

    `start` is the manager's own start stamp (supervisor: epoch seconds; /proc: clock ticks
    since boot; systemd: ExecMainStartTimestampMonotonic in us); it only compares with itself.
    """

    pid: int | None = None
    start: int | None = None
    invocation: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "not running"
        return f"pid {self.pid}" + (f" (started {self.start})" if self.start is not None else "")


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What Docker tells of a container, as numbers and its own words."""

    id: str
    """the first 12 digits, as `docker ps` shows it"""
    image: str
    status: str
    """created, running, paused, restarting, removing, exited, dead"""
    health: str = ""
    """of its own health check: starting, healthy, unhealthy; "" when it has none"""
    exit_code: int | None = None
    """None while it runs, and before it ever ran"""
    oom_killed: bool = False
    restarts: int = 0
    """by Docker itself, since an operator started it"""
    policy: str = ""
    """restart policy: no, always, unless-stopped, on-failure"""


@dataclass(frozen=True, slots=True)
class Unit:
    """One program or unit of one manager on one host, as last observed."""

    manager: str
    """manager id, e.g. "supervisor:/edx/var/supervisor/supervisor.sock", "systemd", "sysv", "docker" """
    name: str
    """the name its manager uses: "lms", "edxapp_worker:lms_default_1", "nginx.service";
    for a container "tutor_local:lms" """
    word: str
    """the manager's own word: RUNNING, FATAL, "active (running)" """
    health: UnitHealth
    identity: Identity = field(default_factory=Identity)
    since: float | None = None
    """epoch seconds of the last start, or stop if not running; on the host's clock as its manager
    tells it, on the console's in a snapshot"""
    detail: str = ""
    """spawn error, exit status, sub-state: what the manager says of it, sanitised"""
    log_paths: tuple[str, ...] = ()
    """files, or CONTAINER_LOG and its name"""
    aliases: tuple[str, ...] = ()
    """other names its manager knows it by ("redis.service"); it is listed under `name` only"""
    container: ContainerFacts | None = None
    address: str = ""
    """of a container that runs, as its host reaches it: "172.18.0.5"; "" when it has none"""

    @property
    def kind(self) -> str:
        return self.manager.partition(":")[0]
