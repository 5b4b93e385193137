"""memcached: how often it has what is asked for, what it throws out, and its memory."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.errors import ServiceUnavailable
from edxconsole.health.endpoints import endpoint_for
from edxconsole.health.wire import Wire
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.numerals import natural

NEARLY_FULL = 0.95


async def inspect_memcached(sight: Sight, report: Report) -> None:
    """Its own `stats`; values and keys are never asked for."""
    spec = next((s for s in sight.component.health if s.kind == "memcached"), None)
    spec = spec or HealthSpec(name="memcached", kind="memcached", port=11211)
    endpoint, listening = endpoint_for(sight.host, sight.component.id, spec)
    if endpoint is None or not listening:
        report.down("nothing of memcached listens")
        return
    stats = await report.attempt("stats", sight.ask(endpoint, read_stats))
    if stats is None:
        return
    _fill(report, stats, str(endpoint))


async def read_stats(wire: Wire) -> dict[str, str]:
    """`stats` as memcached answers it. Raises ValueError, ServiceUnavailable, Hangup."""
    await wire.send(b"stats\r\n")
    found: dict[str, str] = {}
    while True:
        line = (await wire.until(b"\r\n"))[:-2].decode("utf-8", "replace")
        if line == "END":
            await wire.send(b"quit\r\n")
            return found
        words = line.split(" ", 2)
        if words[0] in ("ERROR", "CLIENT_ERROR", "SERVER_ERROR"):
            raise ServiceUnavailable(f"memcached answers `{line[:80]}` to stats")
        if len(words) != 3 or words[0] != "STAT":
            raise ValueError("not memcached")
        found[words[1]] = words[2]


def _fill(report: Report, stats: dict[str, str], where: str) -> None:
    def number(name: str) -> int | None:
        text = stats.get(name, "")
        return natural(text)

    source = f"stats at {where}"
    hits, misses = number("get_hits"), number("get_misses")
    report.part("server").facts(
        source,
        version=stats.get("version"),
        pid=number("pid"),
        uptime_seconds=number("uptime"),
        threads=number("threads"),
    )
    report.part("hits").facts(
        source,
        hit_percent=percent(hits, misses),
        get_hits=hits,
        get_misses=misses,
        sets=number("cmd_set"),
        flushes=number("cmd_flush"),
    )
    evictions, unfetched = number("evictions"), number("evicted_unfetched")
    used, most = number("bytes"), number("limit_maxbytes")
    report.part("memory").facts(
        source,
        used_bytes=used,
        limit_bytes=most,
        used_percent=round(100 * used / most, 2) if used is not None and most else None,
        items=number("curr_items"),
        evictions=evictions,
        evicted_unfetched=unfetched,
        stores_without_memory=number("store_no_memory"),
    )
    now, limit = number("curr_connections"), number("max_connections")
    refused = number("rejected_connections")
    report.part("connections").facts(
        source, open=now, limit=limit, refused=refused, waited_for_a_free_one=number("listen_disabled_num")
    )
    if evictions and used is not None and most and used > NEARLY_FULL * most:
        report.degraded(f"its memory is full: {evictions} items were thrown out early; sessions may be lost")
    if refused or number("listen_disabled_num"):
        report.degraded("it has run out of connections since it was started")


def percent(part: int | None, rest: int | None) -> float | None:
    """part of part + rest; None of nothing."""
    if part is None or rest is None or part + rest == 0:
        return None
    return round(100 * part / (part + rest), 2)
