"""Which configuration files a running LMS, Studio or worker reads, and which lie there unread.

Aspen to Ironwood read `lms.env.json` and `lms.auth.json`; from Juniper on one YAML file that the variable
LMS_CFG or STUDIO_CFG names. Ansible writes the JSON files all the same (domain.md section 8).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edxconsole.cluster.model import Process
from edxconsole.errors import NotUnderstood, PermissionMissing, ServiceUnavailable
from edxconsole.inspect.config_text import parse_config
from edxconsole.inspect.reads import STATUS, STATUS_OF
from edxconsole.inspect.sight import READ_TIMEOUT, Sight
from edxconsole.numerals import natural

EXPORTS = "/edx/app/edxapp/edxapp_env"
"""what lms.sh, cms.sh and worker.sh source before they start; it holds no secrets"""

NO_PROCESS = "without a process it is not known which files it reads"


@dataclass(frozen=True, slots=True)
class Variant:
    """The LMS or Studio, which share their code and differ in their files."""

    name: str
    variables: tuple[str, ...]
    """that name its YAML file, the later release's first"""
    usual: str
    old: tuple[str, ...]
    """of two JSON files the second overrides the first"""

    @property
    def candidates(self) -> tuple[str, ...]:
        return (self.usual, *self.old)


VARIANTS: Mapping[str, Variant] = {
    "lms": Variant(
        "lms",
        ("LMS_CFG",),
        "/edx/etc/lms.yml",
        ("/edx/app/edxapp/lms.env.json", "/edx/app/edxapp/lms.auth.json"),
    ),
    "cms": Variant(
        "cms",
        ("CMS_CFG", "STUDIO_CFG"),
        "/edx/etc/studio.yml",
        ("/edx/app/edxapp/cms.env.json", "/edx/app/edxapp/cms.auth.json"),
    ),
}


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What stat says of a file that is there."""

    size: int
    changed_at: int
    """epoch s, host clock"""
    owner: str
    mode: str


@dataclass(frozen=True, slots=True)
class InForce:
    """The files that a process reads, in the order in which it does, and what told so."""

    paths: tuple[str, ...]
    told_by: str


def variants_of(component: str, rows: Sequence[Process]) -> dict[str, Process]:
    """Variant -> a process of it, the first that was started; workers tell theirs by their argv."""
    found: dict[str, Process] = {}
    for process in rows:
        line = " ".join(process.argv)
        if process.argv[:1] and process.argv[0].rpartition("/")[2] in ("sh", "bash"):
            continue
        for name in VARIANTS:
            of_it = component == name or re.search(
                rf"\b{name}\.(?:celery|envs|core)\b|\bmanage\.py {name}\b|\b{name}\.wsgi\b", line
            )
            if of_it:
                found.setdefault(name, process)
                break
    return found


async def statuses(sight: Sight, paths: Sequence[str]) -> dict[str, FileStatus]:
    """What is there of these files, as far as the login user may look. Raises TransportError."""
    result = await sight.run(["sh", "-c", STATUS, "sh", *paths], timeout=READ_TIMEOUT)
    return _statuses(result.text, paths)


async def status_of(sight: Sight, path: str, user: str) -> FileStatus | None:
    """The same of one file, with the rights of `user`; None where it is not there. Raises TransportError."""
    result = await sight.run([*STATUS_OF, path], user=user, timeout=READ_TIMEOUT)
    return _statuses(result.text, [path]).get(path)


def _statuses(text: str, paths: Sequence[str]) -> dict[str, FileStatus]:
    found: dict[str, FileStatus] = {}
    for line in text.splitlines():
        parts = line.split("|", 4)
        if len(parts) != 5 or parts[4] not in paths:
            continue
        size, changed = natural(parts[0]), natural(parts[1])
        if size is not None and changed is not None:
            found[parts[4]] = FileStatus(size, changed, parts[2], parts[3])
    return found


async def in_force(sight: Sight, variant: Variant, process: Process, there: Collection[str]) -> InForce:
    """Which files this process reads: its own environment tells, else what starts it, else what is there.

    Raises PermissionMissing when nothing tells: its environment can't be read, and no file is seen.
    """
    try:
        told = await sight.variables(process, variant.variables)
        source = f"the environment of pid {process.pid}"
        refused: PermissionMissing | None = None
    except (PermissionMissing, ServiceUnavailable) as error:
        refused = error if isinstance(error, PermissionMissing) else None
        told, source = await _exported(sight, variant), EXPORTS
    for name in variant.variables:
        if told.get(name, "").startswith("/"):
            return InForce((told[name],), f"{name} in {source}")
    old = tuple(path for path in variant.old if path in there)
    if source != EXPORTS:
        return InForce(old or variant.old, f"no {' or '.join(variant.variables)} in {source}")
    return _by_release(variant, process, there, old, refused)


def _by_release(
    variant: Variant,
    process: Process,
    there: Collection[str],
    old: tuple[str, ...],
    refused: PermissionMissing | None,
) -> InForce:
    aged = re.search(r"python2|/python2", " ".join(process.argv[:2])) is not None
    if variant.usual in there and not aged:
        return InForce((variant.usual,), "the files that are there: Juniper and later read this one")
    if old:
        return InForce(old, "the files that are there: up to Ironwood these are read")
    if refused is not None:
        raise PermissionMissing(refused.cause, remedy=refused.remedy)
    return InForce((variant.usual,), "its usual place; nothing tells another")


async def _exported(sight: Sight, variant: Variant) -> dict[str, str]:
    """The variables as the file that its start scripts source exports them; {} without one."""
    try:
        tree = parse_config(await sight.read(EXPORTS, user="edxapp"), EXPORTS)
    except (ServiceUnavailable, PermissionMissing, NotUnderstood):
        return {}
    return {
        name: value for name, value in tree.items() if name in variant.variables and isinstance(value, str)
    }
