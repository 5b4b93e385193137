"""Redis: memory, persistence, clients, and how much waits in the queues of Celery."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.model import Process
from edxconsole.errors import PermissionMissing, ServiceError, ServiceFault
from edxconsole.health.endpoints import endpoint_for
from edxconsole.health.wire import Wire
from edxconsole.inspect.memcached import percent
from edxconsole.inspect.model import NONE, Value
from edxconsole.inspect.report import Report
from edxconsole.inspect.resp import call, read_info
from edxconsole.inspect.sight import Sight
from edxconsole.numerals import natural
from edxconsole.transport.base import Endpoint

QUEUES = (
    "edx.lms.core.default", "edx.lms.core.high", "edx.lms.core.high_mem", "edx.lms.core.low",
    "edx.cms.core.default", "edx.cms.core.high", "edx.cms.core.low",
    "ecommerce.default", "ecommerce.fulfillment", "ecommerce.email_marketing",
    "credentials.default", "discovery.default", "celery",
)  # fmt: skip
"""lists in which Celery's tasks wait (domain.md section 3); those of other names can't be told from data"""
MAX_DATABASES = 16
MAX_NAMES = 50
_TAKES = re.compile(r"\s(?:-Q|--queues)[ =](\S{1,2000})")
_NAME = re.compile(r"[\w.:@-]{1,100}")
SETTINGS = ("maxmemory-policy", "appendonly", "save")
NEARLY_FULL = 0.9


@dataclass(slots=True)
class Seen:
    """What Redis told on one connection."""

    info: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, ServiceError]] = field(default_factory=list)
    queues: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Password:
    """Of redis.conf; used once, never shown."""

    text: str = field(repr=False)


async def inspect_redis(sight: Sight, report: Report) -> None:
    """INFO, CONFIG GET and LLEN; KEYS and MONITOR, which cost, are never called."""
    spec = next((s for s in sight.component.health if s.kind == "redis"), None)
    spec = spec or HealthSpec(name="redis", kind="redis", port=6379)
    endpoint, listening = endpoint_for(sight.host, sight.component.id, spec)
    if endpoint is None or not listening:
        report.down("nothing of Redis listens")
        return
    names = tuple(dict.fromkeys((*QUEUES, *worker_queues(sight.host.processes.values()))))
    seen = await report.attempt("Redis", _seen(sight, endpoint, names))
    if seen is None:
        return
    for what, refusal in seen.refused:
        report.lacks(what, refusal)
    _fill(report, seen, str(endpoint))


def worker_queues(processes: Iterable[Process]) -> tuple[str, ...]:
    """The queues that Celery workers of this host say they take from."""
    found: list[str] = []
    for process in processes:
        if "celery" in " ".join(process.argv):
            found += [q for m in map(_TAKES.search, [" ".join(process.argv)]) if m for q in m[1].split(",")]
    return tuple(dict.fromkeys(q for q in found if _NAME.fullmatch(q)))[:MAX_NAMES]


async def _seen(sight: Sight, endpoint: Endpoint, names: Sequence[str]) -> Seen:
    """What it tells without a password; with the one of its configuration where it wants one."""
    try:
        return await sight.ask(endpoint, lambda wire: _look(wire, None, names))
    except PermissionMissing:
        password = await _password(sight)
    return await sight.ask(endpoint, lambda wire: _look(wire, password, names))


async def _password(sight: Sight) -> Password:
    """requirepass of the host's redis.conf. Raises PermissionMissing and as Sight.read()."""
    path = next((c for c in sight.component.configs if c.endswith(".conf")), "/etc/redis/redis.conf")
    for line in (await sight.read(path)).splitlines():
        words = line.split(None, 1)
        if len(words) == 2 and words[0].lower() == "requirepass":
            return Password(words[1].strip().strip("\"'"))
    raise PermissionMissing(f"Redis wants a password and {path} has none", remedy="see its ACL file")


async def _look(wire: Wire, password: Password | None, names: Sequence[str]) -> Seen:
    """Everything on one connection. Raises PermissionMissing when it wants a password."""
    if password is not None:
        await call(wire, "AUTH", password.text)
    seen = Seen()
    info = await call(wire, "INFO")
    seen.info = read_info(info if isinstance(info, str) else "")
    for name in SETTINGS:
        try:
            found = await call(wire, "CONFIG", "GET", name)
        except (PermissionMissing, ServiceFault) as error:
            seen.refused.append(("settings", error))
            break
        if isinstance(found, list) and len(found) == 2:
            seen.settings[name] = str(found[1])
    await _queues(wire, seen, names)
    return seen


async def _queues(wire: Wire, seen: Seen, names: Sequence[str]) -> None:
    """The length of each of Celery's lists, in every database that has keys at all."""
    numbers = (natural(key[2:], 5) for key in seen.info if key.startswith("db"))
    for number in sorted(n for n in numbers if n is not None)[:MAX_DATABASES]:
        try:
            await call(wire, "SELECT", str(number))
            for name in names:
                length = await _length(wire, name)
                if length:
                    seen.queues.append((number, name, length))
        except (PermissionMissing, ServiceFault) as error:
            seen.refused.append(("queues", error))
            return


async def _length(wire: Wire, name: str) -> int:
    try:
        length = await call(wire, "LLEN", name)
    except ServiceFault as fault:
        if "WRONGTYPE" in fault.cause:
            return 0
        raise
    return length if isinstance(length, int) else 0


def _fill(report: Report, seen: Seen, where: str) -> None:
    info, source = seen.info, f"INFO at {where}"

    def number(name: str) -> int | None:
        text = info.get(name, "")
        found = natural(text.removeprefix("-"))
        return -found if found is not None and text.startswith("-") else found

    report.part("server").facts(
        source,
        version=info.get("redis_version"),
        role=info.get("role"),
        pid=number("process_id"),
        uptime_seconds=number("uptime_in_seconds"),
        replicas=number("connected_slaves"),
        master_link=info.get("master_link_status"),
    )
    used, most = number("used_memory"), number("maxmemory")
    memory = report.part("memory")
    memory.facts(
        source,
        used_bytes=used,
        limit_bytes=NONE if most == 0 else most,
        used_percent=NONE if most == 0 else _share(used, most),
        resident_bytes=number("used_memory_rss"),
        peak_bytes=number("used_memory_peak"),
        evicted_keys=number("evicted_keys"),
        hit_percent=percent(number("keyspace_hits"), number("keyspace_misses")),
    )
    memory.facts("CONFIG GET", policy=seen.settings.get("maxmemory-policy"))
    _persistence(report, seen, source)
    report.part("clients").facts(
        source,
        connected=number("connected_clients"),
        blocked=number("blocked_clients"),
        limit=number("maxclients"),
        refused=number("rejected_connections"),
    )
    rows: list[dict[str, Value]] = [{"database": d, "queue": q, "waiting": n} for d, q, n in seen.queues]
    asked = "LLEN of the queues of Open edX and of this host's workers; empty ones are not listed"
    report.part("queues").table("queues", ("database", "queue", "waiting"), rows, source=asked)
    if used is not None and most and used > NEARLY_FULL * most:
        report.degraded(f"{100 * used / most:.0f} % of its memory limit is used")


def _share(used: int | None, most: int | None) -> float | None:
    return round(100 * used / most, 2) if used is not None and most else None


def _persistence(report: Report, seen: Seen, source: str) -> None:
    info = seen.info
    saved = info.get("rdb_last_save_time", "")
    part = report.part("persistence")
    part.facts(
        source,
        loading=info.get("loading") == "1",
        rdb_saved_at=natural(saved, 11),
        rdb_save=info.get("rdb_last_bgsave_status"),
        aof_write=info.get("aof_last_write_status") if info.get("aof_enabled") == "1" else None,
    )
    part.facts("CONFIG GET", save=seen.settings.get("save"), appendonly=seen.settings.get("appendonly"))
    for key, words in (("rdb_last_bgsave_status", "its last save"), ("aof_last_write_status", "its log")):
        if info.get(key, "ok") != "ok":
            report.down(f"{words} failed ({info[key]}): writes may be refused; see its log and disk")
    if info.get("master_link_status") == "down":
        report.down("it is a replica and its master is not reached")
