"""What a host is called: its own addresses; and which known files it has."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.inspect.finding import FOUND
from edxconsole.inspect.resolving import address_of
from edxconsole.inspect.sight import Sight

FIND_TIMEOUT = 5.0
_MAX_PATHS = 200


async def find(
    sight: Sight, patterns: Iterable[str]
) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """Its own addresses; which paths exist there; which directories the login may not look into.

    Raises CommandTimedOut, CommandFailed, ConnectionLost.
    """
    told = await sight.run(["sh", "-c", FOUND, "sh", *patterns], timeout=FIND_TIMEOUT)
    return read_found(told.text)


def read_found(text: str) -> tuple[frozenset[str], tuple[str, ...], tuple[str, ...]]:
    """What the script FOUND prints; what makes no sense is left out. Raises nothing."""
    head, _, tail = text.partition("\nfiles\n")
    words = head.removeprefix("addresses\n").split()
    addresses = frozenset(a for word in words[:2000] if (a := address_of(word.partition("/")[0])))
    lines = [line for line in tail.split("\n")[:_MAX_PATHS] if line.isprintable()]
    paths = tuple(dict.fromkeys(line for line in lines if line.startswith("/")))
    closed = (line.removeprefix("closed ") for line in lines if line.startswith("closed /"))
    return addresses, paths, tuple(dict.fromkeys(closed))
