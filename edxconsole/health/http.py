"""HTTP checks: a status that is expected, and which part of a heartbeat says false."""

from __future__ import annotations

import json
from collections.abc import Mapping

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.health.answer import Answer, good, poor
from edxconsole.health.wire import Wire


async def check_http(wire: Wire, spec: HealthSpec) -> Answer:
    """GET spec.path with the Host header gunicorn's Django wants, on one short connection."""
    status, body = await _get(wire, spec.path, spec.host_header or "localhost")
    parts = _parts(body)
    false = [name for name, well in parts.items() if not well]
    if false:
        return poor(f"{spec.path} answers {status}: {', '.join(false)} false")
    if status != spec.expect_status:
        return poor(f"{spec.path} answers {status} instead of {spec.expect_status}")
    true = f", {', '.join(parts)} true" if parts else ""
    return good(f"{spec.path} answers {status}{true}")


async def check_nginx(wire: Wire, spec: HealthSpec) -> Answer:
    """Any HTTP answer proves nginx itself; 502 to 504 come from what is behind it."""
    status, _ = await _get(wire, spec.path, spec.host_header or "localhost")
    if status in (502, 503, 504):
        return good(f"nginx answers; what is behind it does not ({status})")
    return good(f"nginx answers {status}")


async def _get(wire: Wire, path: str, host: str) -> tuple[int, bytes]:
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: edxconsole\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n"
    )
    await wire.send(request.encode("ascii", "replace"))
    head = await wire.until(b"\r\n\r\n")
    line = head.split(b"\r\n", 1)[0].split()
    if len(line) < 2 or not line[0].startswith(b"HTTP/") or not line[1].isdigit():
        raise ValueError(f"not HTTP: {clean_line(head[:40].decode('latin-1'), 40)}")
    return int(line[1]), await _body(wire, head.lower())


async def _body(wire: Wire, head: bytes) -> bytes:
    if b"transfer-encoding: chunked" in head:
        size = int((await wire.until(b"\r\n")).split(b";")[0].strip() or b"0", 16)
        return await wire.rest(min(size, 8192))
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return await wire.rest(min(int(value), 8192))
    return await wire.rest(8192)


def _parts(body: bytes) -> dict[str, bool]:
    """The parts of a heartbeat (domain.md section 3): {"sql": {"status": true}}, {"SQL": true},
    {"OK": false, "check": "db"}, {"overall_status": "OK", "detailed_status": {...}}."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, Mapping):
        return {}
    if found.get("OK") is False and isinstance(found.get("check"), str):
        return {clean_line(found["check"], 40): False}
    detailed = found.get("detailed_status")
    if isinstance(detailed, Mapping):
        found = {str(k).removesuffix("_status"): v == "OK" for k, v in detailed.items()}
    pairs = ((clean_line(str(k), 40), _well(v)) for k, v in list(found.items())[:20])
    return {k: v for k, v in pairs if v is not None}


def _well(value: object) -> bool | None:
    if isinstance(value, Mapping):
        value = value.get("status")
    return value if isinstance(value, bool) else None
