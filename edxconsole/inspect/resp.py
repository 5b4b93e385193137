"""Redis's protocol (RESP2), as much as reading needs, everything bounded.

redis-py was judged and left: it insists on opening its own sockets, and takes answers of any size.
"""

from __future__ import annotations

from collections.abc import Sequence

from edxconsole.errors import PermissionMissing, ServiceFault
from edxconsole.health.wire import Wire

Answer = str | int | None | list["Answer"]

MAX_BULK = 128 * 1024
MAX_ITEMS = 1024
MAX_DEPTH = 4


async def call(wire: Wire, *words: str) -> Answer:
    """One command and its answer. Raises PermissionMissing, ServiceFault, ValueError, Hangup."""
    await wire.send(_request(words))
    return await _answer(wire, 0)


async def calls(wire: Wire, commands: Sequence[Sequence[str]]) -> list[Answer | ServiceFault]:
    """Many commands in one go and the answer to each, a fault where it is one. Raises as call()."""
    await wire.send(b"".join(_request(words) for words in commands))
    answers: list[Answer | ServiceFault] = []
    for _ in commands:
        try:
            answers.append(await _answer(wire, 0))
        except ServiceFault as fault:
            answers.append(fault)
    return answers


def _request(words: Sequence[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def _answer(wire: Wire, depth: int) -> Answer:
    line = (await wire.until(b"\r\n"))[:-2]
    kind, rest = line[:1], line[1:]
    match kind:
        case b"+":
            return rest.decode("utf-8", "replace")
        case b"-":
            raise _fault(rest.decode("utf-8", "replace"))
        case b":":
            return _number(rest)
        case b"$":
            length = _number(rest)
            if length < 0:
                return None
            if length > MAX_BULK:
                raise ValueError("an answer that is too large")
            return (await wire.exactly(length + 2))[:-2].decode("utf-8", "replace")
        case b"*":
            count = _number(rest)
            if count > MAX_ITEMS or depth >= MAX_DEPTH:
                raise ValueError("an answer that is too large")
            return [await _answer(wire, depth + 1) for _ in range(max(count, 0))]
    raise ValueError("not Redis")


def _fault(text: str) -> PermissionMissing | ServiceFault:
    if text.startswith(("NOAUTH", "NOPERM", "WRONGPASS", "DENIED")):
        return PermissionMissing(f"Redis says {text[:100]}")
    return ServiceFault(f"Redis says {text[:100]}")


def _number(text: bytes) -> int:
    if len(text) > 20:
        raise ValueError("not a number of Redis")
    return int(text)


def read_info(text: str) -> dict[str, str]:
    """The lines `key:value` of INFO."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}
