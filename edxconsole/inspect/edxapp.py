"""LMS, Studio and their workers: the files they read, the endpoints these name, every setting masked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

from edxconsole.catalog.endpoints import load_endpoint_rules
from edxconsole.cluster.model import Process
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.config_leaves import MAX_LEAVES, leaves_of
from edxconsole.inspect.config_text import parse_config
from edxconsole.inspect.edxapp_config import Claim, claims_of
from edxconsole.inspect.edxapp_files import (
    NO_PROCESS,
    VARIANTS,
    FileStatus,
    InForce,
    Variant,
    in_force,
    statuses,
    variants_of,
)
from edxconsole.inspect.model import Value
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.sight import ANSWERS, NOT_ASKED, REFUSES, SILENT, Sight
from edxconsole.transport.base import Endpoint, TcpEndpoint, UnixEndpoint

ASKED_AT_ONCE = 6
ASK_TIMEOUT = 4.0
MAX_ASKED = 48
"""endpoints of one component; with those above, all are asked within half a minute"""
SLACK = 2.0
"""seconds by which the start of a process may be wrong"""


async def inspect_edxapp(sight: Sight, report: Report) -> None:
    """What the processes of a component were configured with. Nothing of what is secret is told."""
    rows = sight.processes()
    served = variants_of(sight.component.id, rows)
    if not served:
        _without_process(sight, report)
        return
    for name, process in served.items():
        part = report.part("configuration" if len(served) == 1 else f"{name}_configuration")
        await _inspect_variant(sight, report, part, VARIANTS[name], process)


def _without_process(sight: Sight, report: Report) -> None:
    cause = "it runs in a container, whose files are not read" if sight.contained else NO_PROCESS
    report.missing("configuration", cause)


async def _inspect_variant(
    sight: Sight, report: Report, part: Part, variant: Variant, process: Process
) -> None:
    there = await report.attempt("its files", statuses(sight, variant.candidates)) or {}
    force = await report.attempt("which files it reads", in_force(sight, variant, process, there))
    if force is None:
        return
    others = [path for path in force.paths if path not in there]
    there |= await report.attempt("its files", statuses(sight, others)) or {} if others else {}
    _tell_files(sight, report, part, variant, process, force, there)
    trees = {path: tree for path in force.paths if (tree := await _tree(sight, report, path, process.user))}
    claims = await asyncio.to_thread(_claims, trees)
    await _tell_endpoints(sight, report, part, claims)
    _tell_settings(part, trees)


def _tell_files(
    sight: Sight,
    report: Report,
    part: Part,
    variant: Variant,
    process: Process,
    force: InForce,
    there: Mapping[str, FileStatus],
) -> None:
    stale = [path for path in variant.candidates if path in there and path not in force.paths]
    rows: list[dict[str, Value]] = []
    for path in (*force.paths, *stale):
        status = there.get(path)
        row: dict[str, Value] = {"file": path, "read": path in force.paths}
        if status is not None:
            row |= {"size_bytes": status.size, "changed_at": status.changed_at}
            row |= {"owner": status.owner, "mode": status.mode}
        rows.append(row)
    part.facts("processes", pid=process.pid, told_by=force.told_by, stale_copies=len(stale))
    columns = ("file", "read", "size_bytes", "changed_at", "owner", "mode")
    part.table("files", columns, rows, source=f"{force.told_by}; stat")
    started = _oldest_start(sight, process)
    for path in force.paths:
        changed = there[path].changed_at - (sight.host.skew or 0.0) if path in there else 0.0
        if changed > started + SLACK:
            ago = max(round((time.time() - changed) / 60), 0)
            report.degraded(f"{path} was changed {ago} min ago, after its processes had read it")


def _oldest_start(sight: Sight, process: Process) -> float:
    """Workers read the settings when they are started, and a reload starts new ones below the same master."""
    children = [p.started_at for p in sight.processes() if p.ppid == process.pid]
    return min(children, default=process.started_at)


async def _tree(sight: Sight, report: Report, path: str, user: str) -> dict[str, object] | None:
    text = await report.attempt(f"settings of {path}", sight.read(path, user=user))
    if text is None:
        return None
    try:
        return await asyncio.to_thread(parse_config, text, path)
    except NotUnderstood as error:
        report.lacks(f"settings of {path}", error)
        report.degraded(f"{error.cause}: what reads it will not start again")
        return None


def _claims(trees: Mapping[str, Mapping[str, object]]) -> list[Claim]:
    """In a thread: the first time it reads the rules from their file."""
    return [claim for path, tree in trees.items() for claim in claims_of(tree, path)]


def _tell_settings(part: Part, trees: Mapping[str, Mapping[str, object]]) -> None:
    rows: dict[str, dict[str, Value]] = {}
    for path, tree in trees.items():
        for leaf in leaves_of(tree):
            rows[leaf.key] = {"key": leaf.key, "value": leaf.shown, "secret": leaf.secret, "file": path}
    if trees:
        source = f"{' and '.join(trees)}; secrets masked"
        part.table(
            "settings", ("key", "value", "secret", "file"), rows.values(), source=source, most=MAX_LEAVES
        )


async def _tell_endpoints(sight: Sight, report: Report, part: Part, claims: Sequence[Claim]) -> None:
    if not claims:
        return
    places: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        places.setdefault((claim.component, claim.address), []).append(claim)
    asked = list(places.values())[:MAX_ASKED]
    answers = await _ask(sight, [named[0] for named in asked])
    rows: list[dict[str, Value]] = []
    for index, named in enumerate(places.values()):
        answer = answers[index] if index < len(answers) else NOT_ASKED
        required = any(claim.required for claim in named)
        keys = list(dict.fromkeys(claim.key for claim in named))
        rows.append(
            {
                "component": named[0].component,
                "address": named[0].address,
                "answer": answer,
                "required": required,
                "keys": ", ".join(keys),
                "file": named[0].path,
            }
        )
        if required and answer in (REFUSES, SILENT):
            report.degraded(f"{named[0].component} at {named[0].address}, named by {keys[0]}: {answer}")
    columns = ("component", "address", "answer", "required", "keys", "file")
    part.table("endpoints", columns, rows, source="its files; a connection from this host to each")


async def _ask(sight: Sight, claims: Iterable[Claim]) -> list[str]:
    """What a connection from the host to each comes to. A few at a time: sshd opens each for us."""
    gate = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(claim: Claim) -> str:
        answer = NOT_ASKED
        for endpoint in _endpoints(claim):
            async with gate:
                now = await sight.connects(endpoint, ASK_TIMEOUT)
            if now == ANSWERS:
                return now
            answer = now if answer == NOT_ASKED else answer
        return answer

    return await asyncio.gather(*(ask(claim) for claim in claims))


def _endpoints(claim: Claim) -> list[Endpoint]:
    """Where its clients would connect, one after the other."""
    if claim.unix is not None:
        return [UnixEndpoint(claim.unix)]
    if claim.port is None:
        return []
    found: list[Endpoint] = [TcpEndpoint(claim.host, claim.port)]
    socket = load_endpoint_rules().sockets.get(claim.component)
    if claim.host == "localhost" and socket is not None:
        found.append(UnixEndpoint(socket))
    return found
