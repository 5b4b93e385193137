"""The few kinds of BSON that the answers of mongod are read for. Pure.

Two commands are all that checks ask, so no client library is worth its threads and sockets.
"""

from __future__ import annotations

import struct

MAX_DEPTH = 6


def to_document(fields: tuple[tuple[str, int | str], ...]) -> bytes:
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


def read_document(data: bytes, depth: int = 0) -> dict[str, object]:
    """Numbers, strings, booleans and documents of a BSON document; the rest is skipped.

    Raises ValueError for what is not BSON, and for documents in documents beyond MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise ValueError("BSON that is too deep")
    found: dict[str, object] = {}
    try:
        end, at = struct.unpack_from("<i", data)[0], 4
        while at < end - 1:
            kind = data[at]
            stop = data.index(b"\0", at + 1)
            name, at = data[at + 1 : stop].decode("utf-8", "replace"), stop + 1
            value, at = _value(kind, data, at, depth)
            if value is not None:
                found[name] = value
    except (struct.error, IndexError) as error:
        raise ValueError("cut BSON") from error
    return found


def _value(kind: int, data: bytes, at: int, depth: int) -> tuple[object, int]:
    """One BSON value and where the next element begins."""
    if kind == 0x01:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == 0x02:
        size = _size(data, at, 1)
        return data[at + 4 : at + 3 + size].decode("utf-8", "replace"), at + 4 + size
    if kind in (0x03, 0x04):
        size = _size(data, at, 5)
        return (read_document(data[at : at + size], depth + 1) if kind == 0x03 else None), at + size
    if kind == 0x05:
        return None, at + 5 + _size(data, at, 0)
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


def _size(data: bytes, at: int, least: int) -> int:
    """A length that leads onwards: one that led back would be read for ever."""
    size: int = struct.unpack_from("<i", data, at)[0]
    if size < least:
        raise ValueError("BSON of no size")
    return size
