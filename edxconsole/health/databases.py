"""MySQL: its own greeting, without a login."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, odd, poor
from edxconsole.health.wire import Wire

_MAX_PACKET = 4096
_COM_QUIT = b"\x01\x00\x00\x01\x01"


async def check_mysql(wire: Wire, spec: HealthSpec) -> Answer:
    """The greeting: proves that it accepts clients and has a connection left; nothing of its tables.

    After it COM_QUIT is sent. Each try counts in Aborted_connects; the host is never blocked by
    it on loopback, which has no host cache (MySQL manual, "DNS Lookups and the Host Cache").
    """
    head = await wire.exactly(4)
    length = int.from_bytes(head[:3], "little")
    if not 0 < length <= _MAX_PACKET:
        return odd("answers, but not as MySQL")
    body = await wire.exactly(length)
    if body[0] == 0xFF:
        code = int.from_bytes(body[1:3], "little")
        return poor(f"refuses clients: {clean_line(body[3:].decode('utf-8', 'replace'), 120)} ({code})")
    if body[0] not in (9, 10):
        return odd("answers, but not as MySQL")
    await wire.send(_COM_QUIT)
    version = body[1:].split(b"\0", 1)[0].decode("utf-8", "replace").removeprefix("5.5.5-")
    return good(f"greets as {clean_line(version, 60)}")
