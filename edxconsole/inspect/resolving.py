"""Addresses, and names as a host resolves them itself."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from edxconsole.errors import CommandTimedOut, NotUnderstood
from edxconsole.inspect.finding import RESOLVED
from edxconsole.inspect.sight import Sight

MAX_NAMES = 48
RESOLVE_TIMEOUT = 3.0
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")


def address_of(word: str) -> str:
    """An IP address in its one spelling, without a zone; "" for anything else."""
    try:
        address = ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_loopback(host: str) -> bool:
    """Whether a host in a file is whoever reads it: 127.0.0.1, ::1, localhost, 0.0.0.0."""
    if host.lower() in ("localhost", "localhost.localdomain", "ip6-localhost"):
        return True
    address = address_of(host)
    if not address:
        return False
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_unspecified


async def resolve(sight: Sight, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Name -> addresses, () where there are none. A name that took too long is not in it.

    Raises CommandFailed, ConnectionLost.
    """
    wanted = list(dict.fromkeys(n for n in names if _NAME.fullmatch(n) and not address_of(n)))[:MAX_NAMES]
    if not wanted:
        return {}
    try:
        told = await sight.run(["sh", "-c", RESOLVED, "sh", *wanted], timeout=RESOLVE_TIMEOUT)
    except (CommandTimedOut, NotUnderstood):
        return {}
    return read_resolved(told.text, wanted)


def read_resolved(text: str, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What the script RESOLVED prints. Raises nothing."""
    asked = set(wanted)
    found: dict[str, tuple[str, ...]] = {}
    for line in text.split("\n"):
        name, *words = line.split()[:200] or [""]
        if name in asked:
            found[name] = tuple(dict.fromkeys(a for word in words if (a := address_of(word))))
    return found
