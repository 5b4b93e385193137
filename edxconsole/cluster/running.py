"""What an instance runs as: its processes, their users, what its checks answered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edxconsole.cluster.model import Evidence, HostSnapshot, Instance, Process, State

_WORST = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.UP)


def processes_of(host: HostSnapshot, instance: Instance) -> tuple[Process, ...]:
    """Its processes, the one that matters most first: what holds its ports, then what started the others."""
    found = [host.processes[pid] for pid in instance.pids if pid in host.processes]
    own = {p.pid for p in found}
    held = Counter(s.pid for s in host.listeners if s.pid in own)
    return tuple(sorted(found, key=lambda p: (-held[p.pid], p.ppid in own, p.pid)))


def users_of(processes: Iterable[Process]) -> tuple[str, ...]:
    """Whom they run as, each once, in their order."""
    return tuple(dict.fromkeys(p.user for p in processes))


def names_of(processes: Iterable[Process]) -> tuple[str, ...]:
    """What the kernel calls them, each name once, in their order."""
    return tuple(dict.fromkeys(p.comm for p in processes))


def health_of(instance: Instance) -> Evidence | None:
    """The worst that its health checks answered; None when it was not checked."""
    answers = [e for e in instance.evidence if e.source == "health"]
    return min(answers, key=lambda e: _WORST.index(e.state) if e.state in _WORST else 0, default=None)
