"""How much waits in Celery's queues in a Redis, and how much was handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edxconsole.errors import ServiceFault
from edxconsole.health.wire import Wire
from edxconsole.inspect.celery_broker import BrokerPlace
from edxconsole.inspect.resp import Answer, call

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
    found = Backlog()
    for queue in queues:
        found.waiting[queue] = await _waiting(wire, queue)
    flying = await _asked(wire, "HLEN", "unacked")
    found.in_flight = flying if isinstance(flying, int) else None
    first = await _asked(wire, "ZRANGE", "unacked_index", "0", "0", "WITHSCORES")
    if isinstance(first, list) and len(first) == 2:
        found.oldest = _epoch(first[1])
    return found


async def _waiting(wire: Wire, queue: str) -> int | None:
    lengths = [await _asked(wire, "LLEN", queue + step) for step in PRIORITIES]
    known = [n for n in lengths if isinstance(n, int)]
    return sum(known) if len(known) == len(lengths) else None


async def _asked(wire: Wire, *words: str) -> Answer:
    """None where the key is of another type: then it is no queue."""
    try:
        return await call(wire, *words)
    except ServiceFault as fault:
        if "WRONGTYPE" in fault.cause:
            return None
        raise


def _epoch(score: Answer) -> float | None:
    try:
        value = float(score) if isinstance(score, str) and len(score) < 40 else 0.0
    except ValueError:
        return None
    return value if 0 < value < 1e11 else None
