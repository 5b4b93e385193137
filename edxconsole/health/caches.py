"""memcached and Redis: the smallest question each of them answers."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, poor
from edxconsole.health.wire import Wire


async def check_memcached(wire: Wire, spec: HealthSpec) -> Answer:
    """`version`: proves that it takes and answers commands; nothing of its hit rate."""
    await wire.send(b"version\r\n")
    line = _line(await wire.until(b"\r\n"))
    if not line.startswith("VERSION "):
        return poor(f"answers `{line}` to version")
    await wire.send(b"quit\r\n")
    return good(f"memcached {line.removeprefix('VERSION ')} answers")


async def check_redis(wire: Wire, spec: HealthSpec) -> Answer:
    """PING. -NOAUTH and -DENIED prove that it runs, -LOADING that it does not serve yet."""
    await wire.send(b"*1\r\n$4\r\nPING\r\n")
    line = _line(await wire.until(b"\r\n"))
    if line == "+PONG":
        return good("answers PONG")
    if line.startswith(("-NOAUTH", "-NOPERM")):
        return good("answers, and wants a password for more")
    if line.startswith("-LOADING"):
        return poor("is still loading its data")
    if line.startswith("-MASTERDOWN"):
        return poor("its master is down")
    return poor(f"answers `{line}` to PING")


def _line(data: bytes) -> str:
    return clean_line(data.decode("utf-8", "replace"), 80)
