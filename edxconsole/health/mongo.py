"""MongoDB: whether it is there and takes writes, and whether anybody waits for its locks."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, poor, unknown
from edxconsole.health.bson import read_document, to_document
from edxconsole.health.caches import about
from edxconsole.health.wire import Wire

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_SPEAKS_OP_MSG = 6
"""maxWireVersion of MongoDB 3.6"""
LIMIT = 128 * 1024
QUEUED = 20
"""operations that wait for a lock from which on it is a problem"""
NEARLY_FULL = 0.9
_UNAUTHORIZED = 13.0
_STATUS: tuple[tuple[str, int | str], ...] = (
    ("serverStatus", 1), ("repl", 0), ("metrics", 0), ("locks", 0), ("wiredTiger", 0), ("tcmalloc", 0),
    ("network", 0), ("opLatencies", 0), ("transactions", 0), ("sharding", 0), ("workingSet", 0),
)  # fmt: skip
"""asked for without what is large or dear in it; an older one ignores what it does not know"""


async def check_mongodb(wire: Wire, spec: HealthSpec) -> Answer:
    """isMaster: proves that it answers and says what it is in its replica set. No login is needed."""
    reply = await _hello(wire)
    if reply.get("ok") != 1.0:
        return poor(f"answers hello with {clean_line(str(reply.get('errmsg', 'an error')), 100)}")
    if reply.get("isWritablePrimary") or reply.get("ismaster"):
        return good("answers hello, takes writes")
    if "setName" in reply and reply.get("secondary"):
        return good(f"answers hello, secondary of {clean_line(str(reply['setName']), 40)}")
    return poor("answers hello, but takes no writes and is no secondary: its set has no primary, or it joins")


async def check_mongodb_status(wire: Wire, spec: HealthSpec) -> Answer:
    """serverStatus: who waits for a lock, and how many connections are left."""
    wire.allow(LIMIT)
    wire_version = (await _hello(wire)).get("maxWireVersion")
    modern = isinstance(wire_version, float) and wire_version >= _SPEAKS_OP_MSG
    reply = await _command(wire, _STATUS, 2, modern=modern)
    if reply.get("code") == _UNAUTHORIZED or "not authorized" in str(reply.get("errmsg", "")):
        return unknown("its locks can't be seen, it wants a login")
    queued = _number(_inside(_inside(reply, "globalLock"), "currentQueue"), "total")
    current, left = (_number(_inside(reply, "connections"), key) for key in ("current", "available"))
    if current is not None and left is not None and current >= NEARLY_FULL * (current + left):
        return poor(f"{current:.0f} of {current + left:.0f} connections are used; the next ones are refused")
    if queued is None:
        return unknown("it does not say who waits for its locks")
    if queued >= QUEUED:
        return poor(f"{about(int(queued))} operations wait for a lock; look for a slow one in currentOp")
    return good("nobody waits long for a lock")


async def _hello(wire: Wire) -> dict[str, object]:
    """By OP_QUERY, which every release answers for this command: those before 3.6 know nothing else."""
    return await _command(wire, (("isMaster", 1),), 1, modern=False)


async def _command(
    wire: Wire, command: tuple[tuple[str, int | str], ...], ident: int, *, modern: bool
) -> dict[str, object]:
    if modern:
        op, body = _OP_MSG, struct.pack("<iB", 0, 0) + to_document((*command, ("$db", "admin")))
    else:
        op, body = _OP_QUERY, struct.pack("<i", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1)
        body += to_document(command)
    await wire.send(struct.pack("<iiii", 16 + len(body), ident, 0, op) + body)
    length, _, to, answered = struct.unpack("<iiii", await wire.exactly(16))
    skip = 5 if modern else 20
    if answered != (_OP_MSG if modern else _OP_REPLY) or to != ident or not 21 <= length <= LIMIT:
        raise ValueError("not as MongoDB")
    return read_document((await wire.exactly(length - 16))[skip:])


def _inside(found: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _number(found: Mapping[str, object], key: str) -> float | None:
    value = found.get(key)
    return value if isinstance(value, float) and 0 <= value < 1e12 else None
