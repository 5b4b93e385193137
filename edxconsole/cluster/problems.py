"""What an operator should look at, worst first. Pure: snapshots in, problems out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edxconsole.cluster.judging_health import NOT_YET
from edxconsole.cluster.levels import DISK_CRITICAL, DISK_FULL, MEMORY_LOW
from edxconsole.cluster.model import HostSnapshot, HostVitals, Instance, Link, Problem, State

SKEW = 1.0
"""seconds; above it merged logs and times lie"""

_RANK = {State.DOWN: 0, State.ABSENT: 1, State.DEGRADED: 2, State.UNKNOWN: 3, State.UP: 4}


def find_problems(hosts: Iterable[HostSnapshot], first_seen: Mapping[str, float]) -> tuple[Problem, ...]:
    """Every problem of the cluster. Equal severity: hosts before components, newest first.

    Args:
        first_seen: problem key (see `keys`) -> epoch s when it was first found.
    """
    found = [(key, p) for host in hosts for key, p in _of_host(host)]
    dated = [
        p if p.since is not None else Problem(p.state, p.host, p.component, p.text, first_seen.get(key))
        for key, p in found
    ]
    return tuple(sorted(dated, key=lambda p: (_RANK[p.state], p.component != "", -(p.since or 0.0))))


def keys(hosts: Iterable[HostSnapshot]) -> frozenset[str]:
    """What tells one problem from another while its words change."""
    return frozenset(key for host in hosts for key, _ in _of_host(host))


def _of_host(host: HostSnapshot) -> Iterator[tuple[str, Problem]]:
    link = _link(host)
    if link is not None:
        yield f"{host.name}/link", link
    if host.link not in (Link.LIVE, Link.STALE):
        return
    for kind, state, component, text in _troubles(host):
        yield f"{host.name}/{kind}", Problem(state, host.name, component, text, None)
    for instance in host.instances:
        if _worth_telling(instance):
            yield (
                f"{host.name}/component/{instance.component}",
                Problem(instance.state, host.name, instance.component, instance.reason, instance.since),
            )


def _link(host: HostSnapshot) -> Problem | None:
    match host.link:
        case Link.LOST | Link.BACKOFF | Link.REFUSED:
            words = {Link.LOST: "lost", Link.BACKOFF: "can't be reached", Link.REFUSED: "refused"}
            return Problem(State.DOWN, host.name, "", f"{words[host.link]}: {host.reason}", host.since)
        case Link.STALE:
            return Problem(State.UNKNOWN, host.name, "", "stale: nothing heard for over 2.5 s", host.since)
    return None


def _worth_telling(instance: Instance) -> bool:
    return instance.state is not State.UP and not instance.reason.endswith(NOT_YET)


def _troubles(host: HostSnapshot) -> Iterator[tuple[str, State, str, str]]:
    """(kind, state, component, text) of what is wrong with the host itself."""
    if host.vitals is not None:
        yield from _vitals(host.vitals)
    if host.skew is not None and abs(host.skew) >= SKEW:
        way = "ahead of" if host.skew > 0 else "behind"
        yield "skew", State.DEGRADED, "", f"its clock is {abs(host.skew):.1f} s {way} this machine's"
    for supervisor in host.supervisors:
        if supervisor.error:
            text = f"supervisord ({supervisor.config}) can't be read: {supervisor.error}"
            yield f"supervisor/{supervisor.id}", State.UNKNOWN, "supervisor", text


def _vitals(vitals: HostVitals) -> Iterator[tuple[str, State, str, str]]:
    for disk in vitals.disks:
        for what, free, total in (
            ("disk", disk.free, disk.total),
            ("inodes of", disk.inodes_free, disk.inodes),
        ):
            used = 1 - free / total if total > 0 else 0.0
            if used >= DISK_FULL:
                state = State.DOWN if used >= DISK_CRITICAL else State.DEGRADED
                yield f"{what}/{disk.mount}", state, "", f"{what} {disk.mount} is {used:.0%} full"
    if vitals.mem_total and vitals.mem_available / vitals.mem_total < MEMORY_LOW:
        share = vitals.mem_available / vitals.mem_total
        yield "memory", State.DEGRADED, "", f"only {share:.0%} of memory is available"
