"""memcached and Redis: the smallest questions each of them answers, and how many tasks wait in Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, odd, poor, unknown
from edxconsole.health.wire import Wire

MAX_DATABASES = 16
UNACKED = "unacked"
"""the hash of what kombu handed out and was not confirmed yet"""
_MANY = 2000
"""lines of memcached's stats; it has about 80"""


async def check_memcached(wire: Wire, spec: HealthSpec) -> Answer:
    """`stats`: proves that it takes and answers commands, and says whether it throws out what it keeps."""
    await wire.send(b"stats\r\n")
    stats: dict[str, str] = {}
    for _ in range(_MANY):
        line = _line(await wire.until(b"\r\n"))
        if line == "END":
            break
        words = line.split(" ", 2)
        if len(words) != 3 or words[0] != "STAT":
            return odd(f"answers `{line}` to stats")
        stats[words[1]] = words[2]
    await wire.send(b"quit\r\n")
    return _of_stats(stats)


def _of_stats(stats: Mapping[str, str]) -> Answer:
    who = f"memcached {stats.get('version', '')}".strip()
    if stats.get("accepting_conns") == "0":
        most = stats.get("max_connections", "its limit")
        return poor(f"{who} takes no more connections: {most} are open; raise -c, or find who holds them")
    hits, misses = _count(stats.get("get_hits")), _count(stats.get("get_misses"))
    told = [f"{who} answers"]
    if hits is not None and misses is not None and hits + misses:
        # To ten per cent: a hit rate that wanders is not news.
        told.append(f"has about {round(10 * hits / (hits + misses)) * 10} % of what it is asked for")
    evicted = _count(stats.get("evictions"))
    if evicted:
        told.append(f"threw out {about(evicted)} entries that it had no room for")
    return good(", ".join(told))


async def check_redis(wire: Wire, spec: HealthSpec) -> Answer:
    """PING. -NOAUTH and -DENIED prove that it runs, -LOADING that it does not serve yet."""
    await wire.send(_command("PING"))
    line = _line(await wire.until(b"\r\n"))
    if line == "+PONG":
        return good("answers PONG")
    if line.startswith(("-NOAUTH", "-NOPERM")):
        return good("answers, and wants a password for more")
    if line.startswith("-DENIED"):
        return good("answers, and is protected from clients of other hosts")
    if line.startswith("-LOADING"):
        return poor("is still loading its data")
    if line.startswith("-MASTERDOWN"):
        return poor("its master is down")
    return odd(f"answers `{line}` to PING")


async def check_redis_queues(wire: Wire, spec: HealthSpec) -> Answer:
    """LLEN of Celery's lists: how many tasks wait, and whether anybody takes them.

    A worker with nothing to do waits in BRPOP, which counts as a blocked client; one at work has
    tasks in `unacked`. Where tasks wait and there is neither, nobody takes them.
    """
    await wire.send(_command("INFO", "keyspace") + _command("INFO", "clients"))
    keyspace, clients = await _info(wire), await _info(wire)
    if keyspace is None or clients is None:
        return unknown("tasks can't be counted, it wants a password; `edxconsole inspect redis` looks it up")
    numbers = sorted(int(k[2:]) for k in keyspace if k[:2] == "db" and k[2:].isdecimal() and len(k) < 8)
    waiting: dict[str, int] = {}
    taken = 0
    for number in numbers[:MAX_DATABASES]:
        lengths, unacked = await _lengths(wire, number, spec.queues)
        taken += unacked
        for queue, length in zip(spec.queues, lengths, strict=True):
            waiting[queue] = waiting.get(queue, 0) + length
    told = ", ".join(f"{about(n)} in {q}" for q, n in waiting.items() if n)
    if not told:
        return good("no task waits in the queues of Open edX")
    if not taken and _count(clients.get("blocked_clients")) == 0:
        return poor(f"tasks wait and nobody takes them: {told}; look at the workers of these queues")
    return good(f"tasks wait: {told}; workers take them")


async def _lengths(wire: Wire, number: int, queues: Sequence[str]) -> tuple[list[int], int]:
    """How long each list is in one database (0 for what is no list), and how much is handed out."""
    asks = [_command("SELECT", str(number)), *(_command("LLEN", q) for q in queues)]
    await wire.send(b"".join([*asks, _command("HLEN", UNACKED)]))
    answers = [_line(await wire.until(b"\r\n")) for _ in range(len(asks) + 1)]
    if answers[0] != "+OK":
        raise ValueError(f"not as Redis: {answers[0]}")
    found = [(_count(line[1:]) or 0) if line.startswith(":") else 0 for line in answers[1:]]
    return found[:-1], found[-1]


async def _info(wire: Wire) -> dict[str, str] | None:
    """The lines of an INFO; None when it wants a password, or more rights, for that."""
    line = _line(await wire.until(b"\r\n"))
    if line.startswith(("-NOAUTH", "-NOPERM", "-DENIED")):
        return None
    size = _count(line[1:])
    if not line.startswith("$") or size is None:
        raise ValueError(f"not as Redis: {line}")
    body = (await wire.exactly(size + 2)).decode("utf-8", "replace")
    return {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in body.splitlines())}


def about(count: int) -> str:
    """Coarse on purpose: "7", "over 20", "over 3000"."""
    if count < 10:
        return str(count)
    size = 10 ** (len(str(count)) - 1)
    return f"over {count // size * size}" if count % size else f"{count}"


def _command(*words: str) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 20 else None


def _line(data: bytes) -> str:
    return clean_line(data.decode("utf-8", "replace"), 80)
