"""RabbitMQ, and anything that merely has to accept a connection."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, odd, poor
from edxconsole.health.wire import Wire

_AMQP_091 = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME, _CONNECTION, _START, _FRAME_END = 1, 10, 10, 0xCE


async def check_amqp(wire: Wire, spec: HealthSpec) -> Answer:
    """The protocol header, answered by Connection.Start: proves that the broker takes clients;
    nothing of its queues, alarms or memory."""
    await wire.send(_AMQP_091)
    head = await wire.exactly(8)
    if head.startswith(b"AMQP"):
        return poor(f"wants AMQP {head[5]}-{head[6]}-{head[7]}, not 0-9-1")
    length = int.from_bytes(head[3:7], "big")
    if head[0] != _METHOD_FRAME or not 4 <= length <= 8000:
        return odd("answers, but not as AMQP")
    frame = head[7:] + await wire.exactly(length)
    method = (int.from_bytes(frame[0:2], "big"), int.from_bytes(frame[2:4], "big"))
    if method != (_CONNECTION, _START) or frame[-1] != _FRAME_END:
        return odd("answers, but not as AMQP")
    return good(f"greets as {_product(frame)}")


def _product(frame: bytes) -> str:
    """product and version from the server properties; both are long strings (type S)."""
    words = []
    for key in (b"\x07productS", b"\x07versionS"):
        at = frame.find(key)
        if at >= 0:
            start = at + len(key) + 4
            size = int.from_bytes(frame[at + len(key) : start], "big")
            words.append(frame[start : start + min(size, 40)].decode("utf-8", "replace"))
    return clean_line(" ".join(words), 80) or "an AMQP 0-9-1 broker"


async def check_tcp(wire: Wire, spec: HealthSpec) -> Answer:
    """That the connection was accepted is all it proves."""
    return good("accepts connections")
