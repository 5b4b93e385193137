"""The supervisords of one host, from the probe's frames: their programs as Units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from edxconsole.cluster.model import SupervisorInfo
from edxconsole.cluster.restarts import RestartLog
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.probe.frames import ProgramRow, Supervisor

_HEALTH = {
    "STOPPED": UnitHealth.STOPPED,
    "STARTING": UnitHealth.STARTING,
    "RUNNING": UnitHealth.RUNNING,
    "BACKOFF": UnitHealth.FAILED,
    "STOPPING": UnitHealth.STOPPING,
    "EXITED": UnitHealth.EXITED,
    "FATAL": UnitHealth.FAILED,
}


@dataclass(slots=True)
class _Supervisord:
    info: SupervisorInfo
    units: dict[str, Unit] = field(default_factory=dict)


class SupervisorTable:
    """Applies Supervisor frames."""

    def __init__(self, restarts: RestartLog) -> None:
        self._restarts = restarts
        self._known: dict[str, _Supervisord] = {}

    def infos(self) -> tuple[SupervisorInfo, ...]:
        return tuple(s.info for s in self._known.values())

    @property
    def unreadable(self) -> bool:
        """Whether one runs whose programs can't be seen."""
        return any(s.info.error and s.info.identity.pid for s in self._known.values())

    def units(self) -> Iterator[tuple[str, Unit]]:
        """("manager/name", unit) of every program."""
        for supervisord in self._known.values():
            for unit in supervisord.units.values():
                yield f"{unit.manager}/{unit.name}", unit

    def apply(self, frame: Supervisor, *, at: float) -> bool:
        """Take a frame in; `at` is its time on the console's clock. True when something changed."""
        info = _info(frame)
        known = self._known.get(frame.config)
        before = (known.info, dict(known.units)) if known else None
        if known is None:
            known = self._known[frame.config] = _Supervisord(info)
        if frame.error:
            info = replace(info, id=known.info.id, endpoint=info.endpoint or known.info.endpoint)
        known.info = info
        self._programs(known, frame, at)
        return before != (known.info, known.units)

    def _programs(self, known: _Supervisord, frame: Supervisor, at: float) -> None:
        if frame.error:
            known.units = {n: _unknown(u) for n, u in known.units.items()}
            return
        if frame.full:
            known.units = {}
        for row in frame.programs:
            unit = _unit(known.info.id, row)
            known.units[unit.name] = unit
            # `start` moves at each spawn attempt, also in BACKOFF where no pid lives long enough.
            self._restarts.seen(f"{unit.manager}/{unit.name}", row.start or None, at)


def denied(frame: Supervisor, login: str) -> str | None:
    """That the login may not look into it, with the remedy, in one sentence; None when that is not it."""
    if not frame.error.startswith(("EACCES", "EPERM")):
        return None
    what = frame.error.partition(" ")[2] or frame.endpoint or frame.config
    return (
        f"Programs of supervisord ({frame.config}) can't be seen, as {login} may not open {what}; "
        "give this host `become: sudo` in hosts.yaml and add to its sudoers: "
        f"{login} ALL=(root) NOPASSWD: /usr/bin/python3."
    )


def manager_id(endpoint: str, config: str) -> str:
    """The Unit.manager of a supervisord: where it is spoken to, else its configuration."""
    return f"supervisor:{endpoint.partition(':')[2] or config}"


def _info(frame: Supervisor) -> SupervisorInfo:
    return SupervisorInfo(
        id=manager_id(frame.endpoint, frame.config),
        config=clean_line(frame.config),
        endpoint=frame.endpoint,
        owner=clean_line(frame.owner, 64),
        version=clean_line(frame.version, 32),
        word="unreadable" if frame.error else clean_line(frame.statename, 20),
        identity=Identity(pid=frame.pid or None),
        error=clean_line(frame.error),
    )


def _unit(manager: str, row: ProgramRow) -> Unit:
    logs = (row.stdout_logfile, row.stderr_logfile)
    since = row.start if row.pid else row.stop
    return Unit(
        manager=manager,
        name=clean_line(row.name if row.group == row.name else f"{row.group}:{row.name}", 200),
        word=clean_line(row.statename, 20),
        health=_health(row),
        identity=Identity(pid=row.pid, start=row.start) if row.pid else Identity(),
        since=float(since) if since else None,
        detail=_detail(row),
        log_paths=tuple(dict.fromkeys(clean_line(p, 1000) for p in logs if p.startswith("/"))),
    )


def _health(row: ProgramRow) -> UnitHealth:
    # An EXITED program with a spawn error ended with a status its configuration does not expect.
    if row.statename == "EXITED" and row.spawnerr:
        return UnitHealth.FAILED
    return _HEALTH.get(row.statename, UnitHealth.UNKNOWN)


def _detail(row: ProgramRow) -> str:
    if row.spawnerr:
        return clean_line(row.spawnerr)
    return f"exit status {row.exitstatus}" if row.statename == "EXITED" else ""


def _unknown(unit: Unit) -> Unit:
    return (
        replace(unit, word="unknown", health=UnitHealth.UNKNOWN, detail=f"was {unit.word} when last readable")
        if unit.health is not UnitHealth.UNKNOWN
        else unit
    )
