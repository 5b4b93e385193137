"""One supervisor program as getProcessInfo tells it, and what its state means."""

from __future__ import annotations

from dataclasses import dataclass

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.errors import ServiceUnavailable
from edxconsole.services.xmlrpc import Value

STOPPED_STATES = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
"""From these startProcess does something; from any other it is refused or, when STOPPING, ignored."""

_HEALTH = {
    "STOPPED": UnitHealth.STOPPED,
    "STARTING": UnitHealth.STARTING,
    "RUNNING": UnitHealth.RUNNING,
    "BACKOFF": UnitHealth.FAILED,
    "STOPPING": UnitHealth.STOPPING,
    "EXITED": UnitHealth.EXITED,
    "FATAL": UnitHealth.FAILED,
}


@dataclass(frozen=True, slots=True)
class Program:
    """Times are epoch seconds of the host's clock, 0 for never; `pid` 0 when not running."""

    group: str
    name: str
    statename: str
    pid: int
    start: int
    stop: int
    exitstatus: int
    spawnerr: str
    stdout_logfile: str
    stderr_logfile: str

    @property
    def full_name(self) -> str:
        """The name every RPC takes: `group:name`, or the bare name when they are the same."""
        return self.name if self.group == self.name else f"{self.group}:{self.name}"

    @property
    def stopped(self) -> bool:
        return self.statename in STOPPED_STATES

    @property
    def identity(self) -> Identity:
        return Identity(pid=self.pid, start=self.start) if self.pid else Identity()

    @property
    def detail(self) -> str:
        """What supervisord says of it: the spawn error, or how it ended."""
        if self.spawnerr:
            return clean_line(self.spawnerr)
        return f"exit status {self.exitstatus}" if self.statename == "EXITED" else ""

    @property
    def health(self) -> UnitHealth:
        # supervisord leaves "Bad exit code N" in spawnerr of an EXITED program when N was unexpected.
        if self.statename == "EXITED" and self.spawnerr:
            return UnitHealth.FAILED
        return _HEALTH.get(self.statename, UnitHealth.UNKNOWN)

    def unit(self, manager: str) -> Unit:
        since = self.start if self.pid else self.stop
        logs = (self.stdout_logfile, self.stderr_logfile)
        return Unit(
            manager=manager,
            name=self.full_name,
            word=clean_line(self.statename, 20),
            health=self.health,
            identity=self.identity,
            since=float(since) if since else None,
            detail=self.detail,
            log_paths=tuple(dict.fromkeys(p for p in logs if p.startswith("/"))),
        )


def from_answer(value: Value) -> Program:
    """A Program from one struct of getProcessInfo or getAllProcessInfo. Raises ServiceUnavailable."""
    if not isinstance(value, dict):
        raise ServiceUnavailable("supervisord described a program in a way that is not understood")

    def text(key: str) -> str:
        found = value.get(key)
        return found if isinstance(found, str) else ""

    def number(key: str) -> int:
        found = value.get(key)
        return found if isinstance(found, int) else 0

    return Program(
        group=clean_line(text("group")),
        name=clean_line(text("name")),
        statename=text("statename"),
        pid=number("pid"),
        start=number("start"),
        stop=number("stop"),
        exitstatus=number("exitstatus"),
        spawnerr=text("spawnerr"),
        stdout_logfile=clean_line(text("stdout_logfile")),
        stderr_logfile=clean_line(text("stderr_logfile")),
    )
