"""What RabbitMQ tells of itself, whichever way it was asked, and what of it is alarming."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from edxconsole.inspect.model import Value
from edxconsole.inspect.report import Report

NEARLY_FULL = 0.9


@dataclass(slots=True)
class Queue:
    """Messages that wait (`ready`), that were handed out (`unacked`), and who takes them."""

    vhost: str
    name: str
    ready: int | None
    unacked: int | None
    consumers: int | None
    memory: int | None
    state: str


@dataclass(slots=True)
class Broker:
    """One node. None: the way it was asked does not tell."""

    source: str
    version: str = ""
    erlang: str = ""
    uptime: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    disk_free: int | None = None
    disk_limit: int | None = None
    files: int | None = None
    files_limit: int | None = None
    alarms: tuple[str, ...] = ()
    queues: list[Queue] | None = None
    connections: Counter[tuple[str, str, str]] | None = None
    """(user, peer, state) -> how many"""
    notes: Mapping[str, str] = field(default_factory=dict)


def fill(report: Report, broker: Broker) -> None:
    """The sections and findings of a node."""
    source = broker.source
    report.part("node").facts(
        source,
        version=broker.version or None,
        erlang=broker.erlang or None,
        uptime_seconds=broker.uptime,
        alarms=", ".join(broker.alarms) or "none",
        files_used=broker.files,
        files_limit=broker.files_limit,
    )
    report.part("memory").facts(
        source,
        used_bytes=broker.memory,
        limit_bytes=broker.memory_limit,
        disk_free_bytes=broker.disk_free,
        disk_limit_bytes=broker.disk_limit,
    )
    for alarm in broker.alarms:
        report.down(f"alarm: {alarm}; publishers are blocked until it is over")
    if broker.files is not None and broker.files_limit and broker.files > NEARLY_FULL * broker.files_limit:
        report.degraded(f"{broker.files} of {broker.files_limit} file descriptors are used")
    if broker.queues is not None:
        _queues(report, broker.queues, source)
    if broker.connections is not None:
        _connections(report, broker.connections, source)


def _queues(report: Report, queues: list[Queue], source: str) -> None:
    waiting = sorted(queues, key=lambda q: (-(q.ready or 0), q.vhost, q.name))
    rows: list[dict[str, Value]] = [
        {
            "vhost": q.vhost,
            "queue": q.name,
            "ready": q.ready,
            "unacknowledged": q.unacked,
            "consumers": q.consumers,
            "memory_bytes": q.memory,
            "state": q.state or None,
        }
        for q in waiting
    ]
    part = report.part("queues")
    part.facts(source, queues=len(queues), ready=sum(q.ready or 0 for q in queues))
    columns = ("vhost", "queue", "ready", "unacknowledged", "consumers", "memory_bytes", "state")
    part.table("queues", columns, rows, source=source)
    for queue in waiting[:20]:
        # Celery's own reply and event queues come and go; only those with work in them matter.
        if queue.ready and queue.consumers == 0:
            report.degraded(f"{queue.ready} messages wait in {queue.name} and nobody takes them")


def _connections(report: Report, found: Counter[tuple[str, str, str]], source: str) -> None:
    rows: list[dict[str, Value]] = [
        {"user": user, "peer": peer, "state": state, "connections": count}
        for (user, peer, state), count in found.most_common()
    ]
    part = report.part("connections")
    part.facts(source, connections=sum(found.values()))
    part.table("by_peer", ("user", "peer", "state", "connections"), rows, source=source)
    blocked = sum(n for (_, _, state), n in found.items() if state in ("blocked", "blocking"))
    if blocked:
        report.degraded(f"{blocked} connections are blocked")
