"""LMS, Studio and their workers: the files they read, the endpoints these name, every setting masked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.cluster.model import Process
from edxconsole.errors import NotUnderstood
from edxconsole.inspect.config_leaves import MAX_LEAVES, leaves_of
from edxconsole.inspect.edxapp_config import Claim, claims_of
from edxconsole.inspect.edxapp_endpoints import tell_endpoints
from edxconsole.inspect.edxapp_files import (
    NO_PROCESS,
    VARIANTS,
    FileStatus,
    InForce,
    Variant,
    in_force,
    status_of,
    statuses,
    variants_of,
)
from edxconsole.inspect.edxapp_tutor import (
    OWNER,
    UNTOLD,
    Reader,
    documented,
    read_at,
    readers_of,
    told_of,
    unlike,
)
from edxconsole.inspect.model import Value
from edxconsole.inspect.python_settings import settings_in
from edxconsole.inspect.report import Part, Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import Project, project_of

SLACK = 2.0
"""seconds by which the start of a process may be wrong"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one variant of a component was configured with, before it is told."""

    force: InForce
    candidates: tuple[str, ...]
    """where such files lie; those that are not in force are stale copies"""
    there: Mapping[str, FileStatus]
    user: str
    """with whose rights they are read where the login may not"""
    read_at: float
    """when the first of those that run had read them, epoch s, console clock"""
    facts: Mapping[str, Value] = field(default_factory=dict)
    project: Project | None = None
    """of the containers that read them"""
    service: str = ""
    """of it, that reads them"""


async def inspect_edxapp(sight: Sight, report: Report) -> None:
    """What the processes of a component were configured with. Nothing of what is secret is told."""
    if sight.contained:
        await _in_containers(sight, report)
        return
    served = variants_of(sight.component.id, sight.processes())
    if not served:
        report.missing("configuration", NO_PROCESS)
    for name, process in served.items():
        part = report.part("configuration" if len(served) == 1 else f"{name}_configuration")
        await _inspect_variant(sight, report, part, VARIANTS[name], process)


async def _inspect_variant(
    sight: Sight, report: Report, part: Part, variant: Variant, process: Process
) -> None:
    there = await report.attempt("its files", statuses(sight, variant.candidates)) or {}
    force = await report.attempt("which files it reads", in_force(sight, variant, process, there))
    if force is None:
        return
    others = [path for path in force.paths if path not in there]
    there |= await report.attempt("its files", statuses(sight, others)) or {} if others else {}
    started, facts = _oldest_start(sight, process), {"pid": process.pid}
    reading = Reading(force, variant.candidates, there, process.user, started, facts)
    await _tell(sight, report, part, reading)


async def _in_containers(sight: Sight, report: Report) -> None:
    project = await project_of(sight, report)
    variants = readers_of(sight, project)
    if project is None or not variants:
        report.missing("configuration", UNTOLD)
        return
    for name, readers in variants.items():
        part = report.part("configuration" if len(variants) == 1 else f"{name}_configuration")
        await _inspect_readers(sight, report, part, VARIANTS[name], readers, project)


async def _inspect_readers(
    sight: Sight, report: Report, part: Part, variant: Variant, readers: Sequence[Reader], project: Project
) -> None:
    """The containers of one variant: the first tells, and who reads something else is told."""
    places = documented(variant, project)
    there = await _seen(sight, report, places)
    told = {reader.unit: told_of(reader, variant, project, there) for reader in readers}
    unit, force = readers[0].unit, told[readers[0].unit].force
    for other, of_other in told.items():
        for what, cause in of_other.lacks:
            report.missing(what, cause)
        if of_other.force.paths != force.paths:
            report.degraded(f"{other} reads other files than {unit}: {', '.join(of_other.force.paths)}")
    there |= await _seen(sight, report, [path for path in force.paths if path not in places])
    for reader in readers:
        for mounted in told[reader.unit].mounted:
            what = f"whether {reader.unit} has {mounted[0]} still"
            if wrong := await report.attempt(what, unlike(sight, reader, mounted, there)):
                report.degraded(wrong)
    started, facts = read_at(sight, readers), {"containers": ", ".join(told)}
    if started is None:
        report.missing("whether it has read its files", f"{unit} does not run")
    reading = Reading(
        force, places, there, OWNER, started or time.time(), facts, project, readers[0].inside.service
    )
    await _tell(sight, report, part, reading)


async def _seen(sight: Sight, report: Report, paths: Sequence[str]) -> dict[str, FileStatus]:
    """What is there of Tutor's files, which the login user often may not look at."""
    there = await report.attempt("its files", statuses(sight, paths)) or {} if paths else {}
    for path in paths:
        if path not in there:
            status = await report.attempt(f"when {path} was changed", status_of(sight, path, OWNER))
            there |= {path: status} if status else {}
    return there


async def _tell(sight: Sight, report: Report, part: Part, reading: Reading) -> None:
    _tell_files(sight, report, part, reading)
    trees: dict[str, Mapping[str, object]] = {}
    computed: dict[str, str] = {}
    for path in reading.force.paths:
        tree = await _tree(sight, report, path, reading.user, trees, computed)
        if tree is not None:
            trees[path] = tree
    claims = await asyncio.to_thread(_claims, trees)
    await tell_endpoints(sight, report, part, claims, project=reading.project, service=reading.service)
    _tell_settings(part, trees, computed)


def _tell_files(sight: Sight, report: Report, part: Part, reading: Reading) -> None:
    force, there = reading.force, reading.there
    stale = [path for path in reading.candidates if path in there and path not in force.paths]
    rows: list[dict[str, Value]] = []
    for path in (*force.paths, *stale):
        status = there.get(path)
        row: dict[str, Value] = {"file": path, "read": path in force.paths}
        if status is not None:
            row |= {"size_bytes": status.size, "changed_at": status.changed_at}
            row |= {"owner": status.owner, "mode": status.mode}
        rows.append(row)
    part.facts("processes", **reading.facts, told_by=force.told_by, stale_copies=len(stale))
    columns = ("file", "read", "size_bytes", "changed_at", "owner", "mode")
    part.table("files", columns, rows, source=f"{force.told_by}; stat")
    for path in force.paths:
        changed = there[path].changed_at - (sight.host.skew or 0.0) if path in there else 0.0
        if changed > reading.read_at + SLACK:
            ago = max(round((time.time() - changed) / 60), 0)
            maybe = "; Tutor writes it even with nothing new in it" if reading.project is not None else ""
            report.degraded(f"{path} was changed {ago} min ago, after its processes had read it{maybe}")


def _oldest_start(sight: Sight, process: Process) -> float:
    """Workers read the settings when they are started, and a reload starts new ones below the same master."""
    children = [p.started_at for p in sight.processes() if p.ppid == process.pid]
    return min(children, default=process.started_at)


async def _tree(
    sight: Sight,
    report: Report,
    path: str,
    user: str,
    before: dict[str, Mapping[str, object]],
    computed: dict[str, str],
) -> Mapping[str, object] | None:
    """Of a Python file what it assigns, which takes that out of the files before it; `computed` grows."""
    text = await report.attempt(f"settings of {path}", sight.read(path, user=user))
    if text is None:
        return None
    try:
        known = {key: value for tree in before.values() for key, value in tree.items()}
        told = await asyncio.to_thread(settings_in, text, path, known)
    except NotUnderstood as error:
        report.lacks(f"settings of {path}", error)
        if not path.endswith(".py"):  # A later Python than the console's may well read it.
            report.degraded(f"{error.cause}: what reads it will not start again")
        return None
    computed |= dict.fromkeys(sorted(told.computed), path)
    for other, tree in before.items():
        before[other] = {key: value for key, value in tree.items() if key not in told.replaced}
    return told.tree


def _claims(trees: Mapping[str, Mapping[str, object]]) -> list[Claim]:
    """In a thread: the first time it reads the rules from their file."""
    return [claim for path, tree in trees.items() for claim in claims_of(tree, path)]


def _tell_settings(
    part: Part, trees: Mapping[str, Mapping[str, object]], computed: Mapping[str, str]
) -> None:
    rows: dict[str, dict[str, Value]] = {}
    for path, tree in trees.items():
        for leaf in leaves_of(tree):
            rows[leaf.key] = {"key": leaf.key, "value": leaf.shown, "secret": leaf.secret, "file": path}
    if trees:
        source = f"{' and '.join(trees)}; secrets masked"
        part.table(
            "settings", ("key", "value", "secret", "file"), rows.values(), source=source, most=MAX_LEAVES
        )
    if computed:
        rows_of = ({"key": key, "file": path} for key, path in computed.items())
        part.table("computed", ("key", "file"), rows_of, source="the file, read as text: set, and not known")
