"""HTTP checks: a status that is expected, and which part of a heartbeat says false."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line, mask_text
from edxconsole.health.answer import Answer, dead, good, odd, poor
from edxconsole.health.pages import read_page, what_is_false
from edxconsole.health.wire import LIMIT, Hangup, Wire
from edxconsole.numerals import natural

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Page:
    """The beginning of an answer. `cut`: it went on beyond what is ever taken."""

    status: int
    location: str = ""
    body: bytes = b""
    cut: bool = False


async def check_http(wire: Wire, spec: HealthSpec) -> Answer:
    """GET spec.path with the Host header Django wants, on one short connection. Never follows."""
    page = await _get(wire, spec)
    said = f"{spec.path} answers {page.status}"
    told = None if page.cut else read_page(page.body)
    if told is not None and told.false:
        return poor(f"{said}: {what_is_false(told.false)}")
    if page.status != spec.expect_status:
        return _unexpected(said, page, spec)
    if told is not None and told.well is False:
        return poor(f"{said}, and says that it is not well")
    if spec.level == "L3" and told is None:
        why = "without an end" if page.cut else "with no page of health"
        return odd(f"{said}, but {why}")
    names = ", ".join(part.name for part in told.parts) if told is not None else ""
    return good(f"{said}, {names} true" if names else said)


def _unexpected(said: str, page: Page, spec: HealthSpec) -> Answer:
    if page.status in _REDIRECTS:
        return poor(f"{said} and sends on to {_target(page.location, spec)}, which was not followed")
    if page.status == 400:
        return odd(f"{said}: it may not accept the Host {spec.host_header or 'localhost'} (ALLOWED_HOSTS)")
    return odd(f"{said} instead of {spec.expect_status}")


def _target(location: str, spec: HealthSpec) -> str:
    """Where a redirect leads, told as what it is."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    where = clean_line(mask_text(location), 80)
    own = host is None or host in (spec.host_header, "localhost", "127.0.0.1")
    return where or "nowhere" if own else f"another host, {where}"


async def check_nginx(wire: Wire, spec: HealthSpec) -> Answer:
    """Any HTTP answer proves the front door itself; 502 to 504 come from what is behind it."""
    page = await _get(wire, spec, body=False)
    if page.status in (502, 503, 504):
        return good(f"answers; what is behind it does not ({page.status})")
    return good(f"answers {page.status}")


async def check_elasticsearch(wire: Wire, spec: HealthSpec) -> Answer:
    """Its colour: yellow is normal on a single node, as its copies have no other node to be on."""
    page = await _get(wire, spec)
    if page.status != spec.expect_status:
        return _unexpected(f"{spec.path} answers {page.status}", page, spec)
    try:
        found = json.loads(page.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping) or not isinstance(found.get("status"), str):
        return odd(f"{spec.path} answers {page.status}, but not as Elasticsearch")
    nodes = found.get("number_of_nodes")
    lone = nodes == 1 and isinstance(nodes, int)
    match found["status"]:
        case "green":
            return good("green")
        case "yellow" if lone:
            return good("yellow, which is normal for a single node")
        case "yellow":
            return poor("yellow: some data is on one node only; look at its nodes and disks")
        case "red":
            return dead("red: some data can't be searched; look at its disks, then at _cat/shards")
    return odd(f"says {clean_line(found['status'], 30)}")


async def _get(wire: Wire, spec: HealthSpec, *, body: bool = True) -> Page:
    return await fetch(wire, spec.path, spec.host_header or "localhost", body=body)


async def fetch(
    wire: Wire,
    path: str,
    host: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bool = True,
    limit: int = LIMIT,
) -> Page:
    """One GET. Raises ValueError for what is not HTTP, Hangup."""
    fields = {"Host": host, "User-Agent": "edxconsole", "Accept": "*/*", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    request = f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
    await wire.send(request.encode("ascii", "replace"))
    head = await wire.until(b"\r\n\r\n")
    line = head.split(b"\r\n", 1)[0].split()
    if len(line) < 2 or not line[0].startswith(b"HTTP/") or not line[1].isdigit() or len(line[1]) != 3:
        raise ValueError(f"not HTTP: {clean_line(head[:40].decode('latin-1'), 40)}")
    told = _fields(head)
    found = await _body(wire, told, limit) if body else b""
    return Page(int(line[1]), told.get("location", ""), found, wire.full)


def _fields(head: bytes) -> dict[str, str]:
    """Name in small letters -> value."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


async def _body(wire: Wire, fields: Mapping[str, str], limit: int) -> bytes:
    """All of it, or as much as is ever taken."""
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return await _chunks(wire)
    length = fields.get("content-length", "")
    told = natural(length)
    return await wire.rest(limit if told is None else min(told, limit))


async def _chunks(wire: Wire) -> bytes:
    body = b""
    try:
        while (size := int((await wire.until(b"\r\n")).split(b";")[0].strip() or b"0", 16)) > 0:
            body += await wire.exactly(size)
            await wire.exactly(2)
    except Hangup:
        return body
    return body
