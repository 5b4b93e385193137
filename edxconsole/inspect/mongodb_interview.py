"""What MongoDB is asked, in what order, and what its answers say. No I/O: whoever speaks to it drives this.

Shapes are those of MongoDB 2.4 to 7.0 (manual: serverStatus, replSetGetStatus, dbStats, listDatabases). No
document of Open edX is read: only names and numbers of databases, and the times of the oplog.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

MAX_DATABASES = 64
MAX_MEMBERS = 50
UNAUTHORIZED = (13, 18)
"""Unauthorized, AuthenticationFailed; before 2.6 there is no code, only words"""
NO_REPLICATION = (76, 94)
"""NoReplicationEnabled, NotYetInitialized"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One command, its name first, to one database."""

    database: str
    command: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Refused:
    """It answered with an error."""

    cause: str
    code: int | None = None

    @property
    def unauthorized(self) -> bool:
        return self.code in UNAUTHORIZED or "not authorized" in self.cause or "unauthorized" in self.cause


Answer = Mapping[str, object] | Refused


@dataclass(slots=True)
class Told:
    """What it answered to each question; {} where it did not."""

    hello: Mapping[str, object] = field(default_factory=dict)
    build: Mapping[str, object] = field(default_factory=dict)
    status: Mapping[str, object] = field(default_factory=dict)
    replica: Mapping[str, object] = field(default_factory=dict)
    databases: list[Mapping[str, object]] | None = None
    """dbStats of each, with "db"; None: it does not list them"""
    unlisted: int = 0
    """databases beyond MAX_DATABASES"""
    oplog: tuple[float | None, float | None] = (None, None)
    """when its oldest and its newest entry were made, epoch s"""
    refused: list[tuple[str, Refused]] = field(default_factory=list)


Interview = Generator[Ask, Answer, Told]

LEAN = {
    "metrics": 0,
    "tcmalloc": 0,
    "wiredTiger": 0,
    "locks": 0,
    "transactions": 0,
    "logicalSessionRecordCache": 0,
}
"""parts of serverStatus that are large and not shown"""


def interview() -> Interview:
    """Questions, each answered before the next is made."""
    told = Told()
    told.hello = yield from _ask(told, "hello", Ask("admin", {"isMaster": 1}))
    told.build = yield from _ask(told, "version", Ask("admin", {"buildInfo": 1}))
    told.status = yield from _ask(told, "server status", Ask("admin", {"serverStatus": 1, **LEAN}))
    if told.hello.get("setName"):
        told.replica = yield from _ask(told, "replica set", Ask("admin", {"replSetGetStatus": 1}))
        first = yield from _ask(told, "oplog", _oplog(1))
        last = yield from _ask(told, "oplog", _oplog(-1))
        told.oplog = (_entry(first), _entry(last))
    yield from _databases(told)
    return told


def _databases(told: Told) -> Interview:
    listed = yield from _ask(told, "databases", Ask("admin", {"listDatabases": 1}))
    rows = _rows(listed.get("databases"))
    if not listed:
        return told
    told.databases = []
    told.unlisted = max(len(rows) - MAX_DATABASES, 0)
    for row in rows[:MAX_DATABASES]:
        name = row.get("name")
        if isinstance(name, str) and _is_name(name):
            stats = yield from _ask(told, f"database {name}", Ask(name, {"dbStats": 1}))
            told.databases.append({"sizeOnDisk": row.get("sizeOnDisk"), **stats, "db": name})
    return told


def _is_name(name: str) -> bool:
    """What may be the name of a database (manual: Naming Restrictions)."""
    return 0 < len(name) < 64 and not any(c in '/\\. "$*<>:|?\0' for c in name)


def _ask(told: Told, what: str, ask: Ask) -> Generator[Ask, Answer, Mapping[str, object]]:
    answer = yield ask
    if isinstance(answer, Refused):
        told.refused.append((what, answer))
        return {}
    return answer


def _oplog(way: int) -> Ask:
    """Its oldest (1) or newest (-1) entry: the time alone, of an entry that holds what was written."""
    return Ask(
        "local",
        {"find": "oplog.rs", "sort": {"$natural": way}, "limit": 1, "projection": {"ts": 1, "_id": 0}},
    )


def _entry(answer: Mapping[str, object]) -> float | None:
    cursor = answer.get("cursor")
    batch = _rows(cursor.get("firstBatch")) if isinstance(cursor, Mapping) else []
    return epoch(batch[0].get("ts")) if batch else None


def _rows(found: object) -> list[Mapping[str, object]]:
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, Sequence) else []


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a replica set."""

    name: str
    state: str
    healthy: bool
    mine: bool
    lag: float | None
    """seconds its last operation is behind the primary's; None where one of them is not known"""
    uptime: int | None
    says: str


def members_of(replica: Mapping[str, object]) -> list[Member]:
    """The members as this one sees them."""
    rows = _rows(replica.get("members"))[:MAX_MEMBERS]
    primary = next((epoch(r.get("optimeDate")) for r in rows if r.get("stateStr") == "PRIMARY"), None)
    return [
        Member(
            name=text(row, "name"),
            state=text(row, "stateStr") or "?",
            healthy=number(row, "health") != 0,
            mine=row.get("self") is True,
            lag=_lag(row, primary),
            uptime=number(row, "uptime"),
            says=text(row, "lastHeartbeatMessage") or text(row, "infoMessage"),
        )
        for row in rows
    ]


def _lag(row: Mapping[str, object], primary: float | None) -> float | None:
    own = epoch(row.get("optimeDate")) if row.get("stateStr") == "SECONDARY" else None
    return max(primary - own, 0.0) if primary is not None and own is not None else None


def epoch(value: object) -> float | None:
    """Seconds of a BSON date or timestamp."""
    if isinstance(value, datetime):
        try:
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        except (OverflowError, ValueError):
            return None
    seconds = getattr(value, "time", None)
    return float(seconds) if isinstance(seconds, int) and seconds > 0 else None


def number(told: Mapping[str, object], *keys: str) -> int | None:
    """A whole number, below as many keys; None where there is none."""
    value: object = told
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if abs(value) < 1 << 62 else None


def text(told: Mapping[str, object], *keys: str) -> str:
    """Text below as many keys; "" where there is none."""
    value: object = told
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value[:300] if isinstance(value, str) else ""
