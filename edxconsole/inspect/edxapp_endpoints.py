"""The endpoints that a component's files name, and what a connection from its host to each comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edxconsole.catalog.endpoints import load_endpoint_rules
from edxconsole.inspect.edxapp_config import Claim
from edxconsole.inspect.model import Value
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.resolving import address_of, is_loopback, resolve
from edxconsole.inspect.sight import ANSWERS, NOT_ASKED, REFUSES, SILENT, Sight
from edxconsole.inspect.tutor import Project
from edxconsole.transport.base import Endpoint, TcpEndpoint, UnixEndpoint

ASKED_AT_ONCE = 6
ASK_TIMEOUT = 4.0
MAX_ASKED = 48
"""endpoints of one component; with those above, all are asked within half a minute"""

STOPPED = "its container does not run"
NO_SUCH = "no such service, nor does the host know the name"
UNRESOLVED = "the host does not tell in time who that is"
WITHIN = "is in the container itself, where it can't be asked"
FAILED = frozenset({REFUSES, SILENT, STOPPED, NO_SUCH})


@dataclass(frozen=True, slots=True)
class Way:
    """Where one endpoint is asked: the first that answers counts."""

    endpoints: tuple[Endpoint, ...] = ()
    otherwise: str = NOT_ASKED
    """what is said where there is nothing to ask"""


async def tell_endpoints(
    sight: Sight,
    report: Report,
    part: Part,
    claims: Sequence[Claim],
    *,
    project: Project | None = None,
    service: str = "",
) -> None:
    """A row for each, and a finding for what is needed and does not answer.

    Args:
        project: of the containers whose files these are; without one they are the host's own.
        service: of it, that reads them.
    """
    if not claims:
        return
    places: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        places.setdefault((claim.component, claim.address), []).append(claim)
    asked = [named[0] for named in places.values()][:MAX_ASKED]
    if project is None:
        ways = [Way(_endpoints(claim)) for claim in asked]
    else:
        ways = await _ways(sight, asked, project, service)
    answers = await _ask(sight, ways)
    rows: list[dict[str, Value]] = []
    for index, named in enumerate(places.values()):
        answer = answers[index] if index < len(answers) else NOT_ASKED
        required = any(claim.required for claim in named)
        keys = list(dict.fromkeys(claim.key for claim in named))
        at = ways[index].endpoints[:1] if index < len(ways) else ()
        rows.append(
            {
                "component": named[0].component,
                "address": named[0].address,
                "asked_at": str(at[0]) if at else None,
                "answer": answer,
                "required": required,
                "keys": ", ".join(keys),
                "file": named[0].path,
            }
        )
        if required and answer in FAILED:
            report.degraded(f"{named[0].component} at {named[0].address}, named by {keys[0]}: {answer}")
    where = ("asked_at",) if project is not None else ()
    columns = ("component", "address", *where, "answer", "required", "keys", "file")
    by = "; the project's addresses (Docker)" if project is not None else ""
    part.table("endpoints", columns, rows, source=f"its files{by}; a connection from this host to each")


async def _ask(sight: Sight, ways: Iterable[Way]) -> list[str]:
    """What a connection from the host to each comes to. A few at a time: sshd opens each for us."""
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(way: Way) -> str:
        answer = way.otherwise
        for index, endpoint in enumerate(way.endpoints):
            async with gate:
                now = await sight.connects(endpoint, ASK_TIMEOUT)
            if now == ANSWERS:
                return now
            answer = now if index == 0 or answer == NOT_ASKED else answer
        return answer

    return await asyncio.gather(*(ask(way) for way in ways))


def _endpoints(claim: Claim) -> tuple[Endpoint, ...]:
    """Where its clients would connect, one after the other."""
    if claim.unix is not None:
        return (UnixEndpoint(claim.unix),)
    if claim.port is None:
        return ()
    socket = load_endpoint_rules().sockets.get(claim.component)
    if claim.host == "localhost" and socket is not None:
        return (TcpEndpoint(claim.host, claim.port), UnixEndpoint(socket))
    return (TcpEndpoint(claim.host, claim.port),)


async def _ways(sight: Sight, claims: Sequence[Claim], project: Project, service: str) -> list[Way]:
    """Raises CommandFailed, ConnectionLost."""
    foreign = [c.host for c in claims if c.port is not None and _inside(c, project, service) is None]
    known = await resolve(sight, foreign)
    return [_inside(c, project, service) or _outside(c, known) for c in claims]


def _inside(claim: Claim, project: Project, service: str) -> Way | None:
    """The way to what a container of the project reaches by its network's names; None for any other."""
    shares = project.addresses.get(service) == "127.0.0.1"
    if claim.unix is not None or (is_loopback(claim.host) and not shares):
        return Way(otherwise=WITHIN)
    address = project.addresses.get(claim.host)
    if address is not None:
        return Way((TcpEndpoint(address, claim.port),) if claim.port is not None else ())
    return Way(otherwise=STOPPED) if claim.host in project.services else None


def _outside(claim: Claim, known: Mapping[str, tuple[str, ...]]) -> Way:
    if claim.port is None:
        return Way()
    found = (claim.host,) if address_of(claim.host) or is_loopback(claim.host) else known.get(claim.host)
    if found is None:
        return Way(otherwise=UNRESOLVED)
    return Way((TcpEndpoint(claim.host, claim.port),)) if found else Way(otherwise=NO_SUCH)
