"""What Celery's workers reply to `active_queues`, `active`, `reserved`, `scheduled` and `stats`.

The shapes are those of Celery 3.1 to 5.7 (celery/worker/control.py). Arguments of tasks are in the
replies and are left there: they may hold personal data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_NODES = 200
MAX_TASKS = 2000
MAX_QUEUES = 100
EPOCH = 1_000_000_000.0
"""`time_start` is epoch seconds from 4.3 on; before it is the time since the host's boot, far less"""

ACTIVE, RESERVED, SCHEDULED = "active", "reserved", "scheduled"


@dataclass(frozen=True, slots=True)
class Task:
    """One task that a worker holds: it runs it, has it next, or waits for its time (ETA)."""

    node: str
    state: str
    name: str
    id: str
    queue: str
    started: float | None
    """epoch seconds on its host, or seconds since that host's boot (see EPOCH)"""
    pid: int | None
    """of the pool process that runs it"""
    eta: str = ""


@dataclass(slots=True)
class Node:
    """One worker as it answers. None: it did not say."""

    name: str
    queues: tuple[str, ...] | None = None
    pid: int | None = None
    uptime: int | None = None
    concurrency: int | None = None
    prefetch: int | None = None
    total: int | None = None
    """tasks done since it was started"""
    tasks: list[Task] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    """which of ACTIVE, RESERVED and SCHEDULED it answered"""

    def count(self, state: str) -> int | None:
        return sum(t.state == state for t in self.tasks) if state in self.told else None


def read_replies(replies: Mapping[str, object]) -> dict[str, Node]:
    """Nodes by name, of each command's replies as kombu's Mailbox collects them: a list of {node: answer}.

    Anything is taken; what is not as it should be is left out.
    """
    nodes: dict[str, Node] = {}
    for command, answers in replies.items():
        for name, answer in _answers(answers):
            if name not in nodes and len(nodes) >= MAX_NODES:
                continue
            _fill(nodes.setdefault(name, Node(name)), command, answer)
    return nodes


def _answers(answers: object) -> Iterator[tuple[str, object]]:
    for answer in answers if isinstance(answers, list) else ():
        if isinstance(answer, Mapping):
            yield from ((str(name)[:300], said) for name, said in answer.items())


def _fill(node: Node, command: str, answer: object) -> None:
    if command == "active_queues" and isinstance(answer, list):
        names = (_text(q, "name") for q in answer[:MAX_QUEUES])
        node.queues = tuple(dict.fromkeys(n for n in names if n))
    elif command == "stats" and isinstance(answer, Mapping):
        pool, total = answer.get("pool"), answer.get("total")
        node.pid, node.uptime = _int(answer, "pid"), _int(answer, "uptime")
        node.prefetch = _int(answer, "prefetch_count")
        node.concurrency = _int(pool, "max-concurrency")
        if isinstance(total, Mapping):
            node.total = sum(n for n in total.values() if isinstance(n, int))
    elif command in (ACTIVE, RESERVED, SCHEDULED) and isinstance(answer, list):
        node.told.add(command)
        room = max(MAX_TASKS - len(node.tasks), 0)
        node.tasks += [_task(node.name, command, said) for said in answer[:room] if isinstance(said, Mapping)]


def _task(node: str, state: str, said: Mapping[object, object]) -> Task:
    request = said.get("request") if state == SCHEDULED else said
    inner = request if isinstance(request, Mapping) else {}
    started = inner.get("time_start")
    is_time = isinstance(started, int | float) and not isinstance(started, bool) and 0 < started < 1e11
    return Task(
        node,
        state,
        name=_text(inner, "name") or _text(inner, "type") or "?",
        id=_text(inner, "id"),
        queue=_text(inner.get("delivery_info"), "routing_key"),
        started=float(started) if is_time and isinstance(started, int | float) else None,
        pid=_int(inner, "worker_pid"),
        eta=_text(said, "eta") if state == SCHEDULED else "",
    )


def age_of(task: Task, now: float, up: float | None) -> int | None:
    """Seconds since a task was started; None where it can't be told.

    `now` is its host's time, `up` the seconds since that was booted.
    """
    if task.started is None:
        return None
    if task.started > EPOCH:
        return max(round(now - task.started), 0)
    return max(round(up - task.started), 0) if up is not None else None


def _text(said: object, key: str) -> str:
    found = said.get(key) if isinstance(said, Mapping) else None
    return found[:300] if isinstance(found, str) else ""


def _int(said: object, key: str) -> int | None:
    found = said.get(key) if isinstance(said, Mapping) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 53 else None
