"""MySQL and MongoDB: their own greetings, without a login."""

from __future__ import annotations

import struct

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, odd, poor
from edxconsole.health.wire import Wire

_MAX_PACKET = 4096
_COM_QUIT = b"\x01\x00\x00\x01\x01"
_OP_MSG = 2013
_HELLO = (("hello", 1), ("$db", "admin"))
_LEGACY = (("isMaster", 1), ("$db", "admin"))


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


async def check_mongodb(wire: Wire, spec: HealthSpec) -> Answer:
    """`hello` over OP_MSG: proves that it answers and says what it is in its replica set."""
    reply = await _command(wire, _HELLO, 1)
    if reply.get("ok") != 1.0:
        reply = await _command(wire, _LEGACY, 2)
    if reply.get("ok") != 1.0:
        return poor(f"answers hello with {clean_line(str(reply.get('errmsg', 'an error')), 100)}")
    if reply.get("isWritablePrimary") or reply.get("ismaster"):
        return good("answers hello, takes writes")
    if "setName" in reply and reply.get("secondary"):
        return good(f"answers hello, secondary of {clean_line(str(reply['setName']), 40)}")
    return poor("answers hello, but takes no writes and is no secondary")


async def _command(wire: Wire, command: tuple[tuple[str, int | str], ...], ident: int) -> dict[str, object]:
    body = struct.pack("<iB", 0, 0) + _document(command)
    await wire.send(struct.pack("<iiii", 16 + len(body), ident, 0, _OP_MSG) + body)
    length, _, to, op = struct.unpack("<iiii", await wire.exactly(16))
    if op != _OP_MSG or to != ident or not 21 <= length <= 8192:
        raise ValueError("not an answer of MongoDB 3.6 or later")
    message = await wire.exactly(length - 16)
    return read_document(message[5:])


def _document(fields: tuple[tuple[str, int | str], ...]) -> bytes:
    """BSON of int32 and string fields."""
    parts = b""
    for name, value in fields:
        key = name.encode() + b"\0"
        if isinstance(value, int):
            parts += b"\x10" + key + struct.pack("<i", value)
        else:
            text = value.encode() + b"\0"
            parts += b"\x02" + key + struct.pack("<i", len(text)) + text
    return struct.pack("<i", len(parts) + 5) + parts + b"\0"


def read_document(data: bytes) -> dict[str, object]:
    """Numbers, strings and booleans of the top level of a BSON document; the rest is skipped.

    Raises ValueError for what is not BSON.
    """
    found: dict[str, object] = {}
    try:
        end, at = struct.unpack_from("<i", data)[0], 4
        while at < end - 1:
            kind = data[at]
            stop = data.index(b"\0", at + 1)
            name, at = data[at + 1 : stop].decode("utf-8", "replace"), stop + 1
            value, at = _value(kind, data, at)
            if value is not None:
                found[name] = value
    except (struct.error, IndexError) as error:
        raise ValueError("cut BSON") from error
    return found


def _value(kind: int, data: bytes, at: int) -> tuple[object, int]:
    """One BSON value and where the next element begins."""
    if kind == 0x01:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == 0x02:
        size = struct.unpack_from("<i", data, at)[0]
        return data[at + 4 : at + 3 + size].decode("utf-8", "replace"), at + 4 + size
    if kind in (0x03, 0x04):
        return None, at + struct.unpack_from("<i", data, at)[0]
    if kind == 0x05:
        return None, at + 5 + struct.unpack_from("<i", data, at)[0]
    if kind == 0x08:
        return data[at] != 0, at + 1
    if kind == 0x10:
        return float(struct.unpack_from("<i", data, at)[0]), at + 4
    if kind == 0x12:
        return float(struct.unpack_from("<q", data, at)[0]), at + 8
    widths = {0x07: 12, 0x09: 8, 0x0A: 0, 0x11: 8, 0x13: 16}
    if kind not in widths:
        raise ValueError(f"BSON type {kind:#x}")
    return None, at + widths[kind]
