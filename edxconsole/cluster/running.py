"""What an instance runs as: its processes, their users, what its checks answered. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edxconsole.cluster.model import Evidence, HostSnapshot, Instance, Process, State

_WORST = (State.DOWN, State.DEGRADED, State.UNKNOWN, State.UP)
_OF_UP = (State.DOWN, State.DEGRADED, State.UP, State.UNKNOWN)


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
    """What its health checks come to; None when it was not checked.

    The worst of them. Of one that is up, a check that could not be made says less than one that was:
    the pane below the row tells both.
    """
    answers = [e for e in instance.evidence if e.source == "health"]
    order = _OF_UP if instance.state is State.UP else _WORST
    return min(answers, key=lambda e: order.index(e.state) if e.state in order else 0, default=None)
