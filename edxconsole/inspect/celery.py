"""Celery: workers as processes and as they answer, queues and what waits in them, tasks and their age.

For the workers of edxapp, of the shop and of the IDAs. What can't be asked is unknown: a worker that was
not asked is never said to be down, and a queue that was not read has no number.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.inspect.bridge import bridge
from edxconsole.inspect.celery_backlog import Backlog, read_backlog
from edxconsole.inspect.celery_broker import REDIS, BrokerPlace
from edxconsole.inspect.celery_control import Queue, Told, converse
from edxconsole.inspect.celery_replies import ACTIVE, RESERVED, SCHEDULED, Node, age_of, read_replies
from edxconsole.inspect.celery_settings import brokers_of
from edxconsole.inspect.celery_workers import Worker, find_workers
from edxconsole.inspect.model import Value
from edxconsole.inspect.redis import QUEUES
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import project_of

CONTROL_TIMEOUT = 18.0
"""seconds for the whole conversation with one broker's workers"""
KNOWN: Mapping[str, tuple[str, ...]] = {
    "edxapp_worker": ("edx.",),
    "ecomworker": ("ecommerce.",),
    "ida_worker": ("credentials.", "discovery.", "registrar.", "enterprise_catalog.", "license_manager."),
}
"""component -> how the names of its queues begin"""
TICKS = 100.0
"""per second, in the start of a process (USER_HZ of every Linux that Open edX runs on)"""


@dataclass(slots=True)
class Seen:
    """What one broker and the workers at it told."""

    place: BrokerPlace
    backlog: Backlog | None = None
    told: Told | None = None
    nodes: dict[str, Node] = field(default_factory=dict)

    def queue(self, name: str) -> Queue:
        """What waits in a queue there and how many take from it."""
        if self.backlog is not None:
            return Queue(self.backlog.waiting.get(name), self._takers(name))
        found = self.told.queues.get(name) if self.told else None
        return found or Queue(None, None)

    def _takers(self, name: str) -> int | None:
        """Redis knows no consumers: those who answered that they take from it."""
        return sum(name in (n.queues or ()) for n in self.nodes.values()) if self.nodes else None


async def inspect_celery(sight: Sight, report: Report) -> None:
    """Processes of this host; then each broker that its configuration names, and who answers there."""
    project = await project_of(sight, report)
    workers = find_workers(
        sight.processes(),
        sight.host.hostname,
        everyone=sight.host.processes.values(),
        inside=project.hostnames if project else {},
    )
    _workers(sight, report, workers)
    names = tuple(
        dict.fromkeys(
            [q for w in workers for q in w.queues]
            + [q for q in QUEUES if q.startswith(KNOWN.get(sight.component.id, ()))]
        )
    )
    places = await brokers_of(sight, report, project)
    seen = [await _ask(sight, report, place, names) for place in places]
    _brokers(sight, report, seen)
    _queues(report, seen, names, {q for w in workers for q in w.queues})
    nodes = [node for found in seen for node in found.nodes.values() if _is_ours(node, names)]
    _nodes(report, seen, nodes, workers)
    if any(found.nodes for found in seen):
        _tasks(sight, report, nodes, workers)


async def _ask(sight: Sight, report: Report, place: BrokerPlace, names: Sequence[str]) -> Seen:
    seen = Seen(place)
    if place.kind == REDIS:
        work = sight.ask(place.endpoint, lambda wire: read_backlog(wire, place, names))
        seen.backlog = await report.attempt(f"backlog in {place.endpoint}", work)
        if seen.backlog is None:
            return seen
    seen.told = await report.attempt(f"workers at {place.endpoint}", _converse(sight, place, names))
    if seen.told is not None:
        seen.nodes = read_replies(seen.told.replies)
        if not seen.nodes:
            report.missing(
                f"workers at {place.endpoint}",
                "no worker answers there",
                "see whether they run, and whether they reach their broker; their -stderr.log says so",
            )
    return seen


async def _converse(sight: Sight, place: BrokerPlace, names: Sequence[str]) -> Told:
    async with bridge(sight.transport, place.endpoint) as over:
        return await over.work(lambda: converse(place, over.path, names), timeout=CONTROL_TIMEOUT)


def _workers(sight: Sight, report: Report, workers: Sequence[Worker]) -> None:
    rows: list[dict[str, Value]] = [
        {
            "pid": w.main.pid,
            "node": w.node or None,
            "queues": ", ".join(w.queues) or None,
            "concurrency": w.concurrency,
            "pool": w.pool,
            "user": w.main.user,
            "age_seconds": round(max(time.time() - w.main.started_at, 0.0)),
            "memory_bytes": w.main.rss * 1024,
        }
        for w in workers
    ]
    part = report.part("workers")
    columns = ("pid", "node", "queues", "concurrency", "pool", "user", "age_seconds", "memory_bytes")
    part.facts("process table", workers=len(workers), pool_processes=sum(w.pool for w in workers))
    part.table("workers", columns, rows, source="process table")
    for worker in workers:
        if worker.forks and worker.concurrency is not None and worker.pool < worker.concurrency:
            name = worker.node or f"pid {worker.main.pid}"
            report.degraded(f"{name} has {worker.pool} of {worker.concurrency} pool processes")


def _brokers(sight: Sight, report: Report, seen: Sequence[Seen]) -> None:
    rows: list[dict[str, Value]] = []
    for found in seen:
        backlog = found.backlog
        oldest = backlog.oldest if backlog else None
        rows.append(
            {
                "broker": str(found.place),
                "in_flight": backlog.in_flight if backlog else None,
                "oldest_in_flight_seconds": round(max(_now(sight) - oldest, 0.0)) if oldest else None,
                "workers_answering": len(found.nodes) if found.told else None,
            }
        )
    if rows:
        columns = ("broker", "in_flight", "oldest_in_flight_seconds", "workers_answering")
        source = "configuration of the host; HLEN unacked, ZRANGE unacked_index; celery control"
        report.part("brokers").table("brokers", columns, rows, source=source)


def _queues(report: Report, seen: Sequence[Seen], names: Sequence[str], own: set[str]) -> None:
    """Those of this host's workers, and others of the component in which something waits."""
    rows: list[dict[str, Value]] = []
    for found in seen:
        for name in names:
            queue = found.queue(name)
            if name in own or queue.waiting:
                rows.append(
                    {
                        "broker": str(found.place),
                        "queue": name,
                        "waiting": queue.waiting,
                        "consumers": queue.consumers,
                        "here": name in own,
                    }
                )
            if queue.waiting and queue.consumers == 0:
                # RabbitMQ counts its consumers; for Redis a worker that hangs may yet be one.
                who = "no worker that answers" if found.place.kind == REDIS else "no worker"
                report.degraded(f"{queue.waiting} tasks wait in {name} and {who} takes them")
    if rows:
        columns = ("broker", "queue", "waiting", "consumers", "here")
        source = "LLEN, active_queues of the workers; RabbitMQ: queue.declare passive"
        report.part("queues").table("queues", columns, rows, source=source)


def _is_ours(node: Node, names: Sequence[str]) -> bool:
    """Whether a worker is of this component: others may share its broker."""
    return node.queues is None or not set(node.queues).isdisjoint(names)


def _nodes(report: Report, seen: Sequence[Seen], nodes: Sequence[Node], workers: Sequence[Worker]) -> None:
    here = {w.node: w for w in workers if w.node}
    answering = {node.name: node for node in nodes}
    rows: list[dict[str, Value]] = [
        {
            "node": node.name,
            "here": node.name in here,
            "queues": ", ".join(node.queues) if node.queues is not None else None,
            "concurrency": node.concurrency,
            "active": node.count(ACTIVE),
            "reserved": node.count(RESERVED),
            "scheduled": node.count(SCHEDULED),
            "done": node.total,
            "uptime_seconds": node.uptime,
        }
        for node in sorted(answering.values(), key=lambda n: (n.name not in here, n.name))
    ]
    columns = (
        "node", "here", "queues", "concurrency", "active", "reserved", "scheduled", "done", "uptime_seconds",
    )  # fmt: skip
    if rows:
        report.part("nodes").table("nodes", columns, rows, source="celery control")
    # Where not one of them answers it may as well be we who ask at the wrong place; that is told as missing.
    if any(name in answering for name in here) and all(f.told for f in seen):
        for name in sorted(set(here) - set(answering)):
            report.degraded(f"{name} runs but does not answer at its broker; it may hang")


def _tasks(sight: Sight, report: Report, nodes: Sequence[Node], workers: Sequence[Worker]) -> None:
    """Name and age of what is held; the arguments are never shown."""
    here = {w.node for w in workers}
    now, up = _now(sight), _up(sight)
    held = [task for node in nodes for task in node.tasks]
    rows: list[dict[str, Value]] = [
        {
            "state": task.state,
            "task": task.name,
            "age_seconds": age_of(task, now, up if task.node in here else None),
            "queue": task.queue,
            "node": task.node,
            "pid": task.pid,
            "eta": task.eta,
            "id": task.id,
        }
        for task in held
    ]
    order = {ACTIVE: 0, RESERVED: 1, SCHEDULED: 2}
    rows.sort(key=lambda r: (order[str(r["state"])], -int(r["age_seconds"] or 0), str(r["task"])))
    columns = ("state", "task", "age_seconds", "queue", "node", "pid", "eta", "id")
    report.part("tasks").table("tasks", columns, rows, source="celery control: active, reserved, scheduled")


def _now(sight: Sight) -> float:
    """The host's own time."""
    return time.time() + (sight.host.skew or 0.0)


def _up(sight: Sight) -> float | None:
    """Seconds since the host was booted, by any process of it: its start counts from there."""
    first = next((p for p in sight.host.processes.values() if p.start > 0), None)
    return time.time() - first.started_at + first.start / TICKS if first is not None else None
