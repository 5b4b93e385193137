"""How much waits in Celery's queues in a Redis, and how much was handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edxconsole.health.wire import Wire
from edxconsole.inspect.celery_broker import BrokerPlace
from edxconsole.inspect.resp import Answer, call, calls

PRIORITIES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
"""what kombu adds to the name of a queue for each of its priority steps (kombu/transport/redis.py)"""


@dataclass(slots=True)
class Backlog:
    """Messages in the database of a broker. None: it does not tell."""

    waiting: dict[str, int | None] = field(default_factory=dict)
    in_flight: int | None = None
    """handed out and not acknowledged, of all queues: running, reserved, or waiting for their time"""
    oldest: float | None = None
    """when the oldest of those was handed out, epoch seconds on the host of its worker"""


async def read_backlog(wire: Wire, place: BrokerPlace, queues: Sequence[str]) -> Backlog:
    """LLEN of each queue, HLEN and the first of `unacked`. Raises PermissionMissing, ServiceFault."""
    if place.password:
        await call(wire, "AUTH", *([place.user] if place.user else []), place.password)
    await call(wire, "SELECT", place.vhost)
    asked = [("LLEN", queue + step) for queue in queues for step in PRIORITIES]
    more = [("HLEN", "unacked"), ("ZRANGE", "unacked_index", "0", "0", "WITHSCORES")]
    answers = await calls(wire, [*asked, *more])
    found = Backlog()
    for index, queue in enumerate(queues):
        lengths = answers[index * len(PRIORITIES) : (index + 1) * len(PRIORITIES)]
        known = [n for n in lengths if isinstance(n, int)]
        # A key of another type is no queue; what waits there is then unknown.
        found.waiting[queue] = sum(known) if len(known) == len(PRIORITIES) else None
    flying, first = answers[-2:]
    found.in_flight = flying if isinstance(flying, int) else None
    if isinstance(first, list) and len(first) == 2:
        found.oldest = _epoch(first[1])
    return found


def _epoch(score: Answer) -> float | None:
    try:
        value = float(score) if isinstance(score, str) and len(score) < 40 else 0.0
    except ValueError:
        return None
    return value if 0 < value < 1e11 else None
