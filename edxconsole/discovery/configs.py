"""The configuration files of a classic install: which are in force, and the endpoints that those name.

Ansible renders the JSON files of edxapp also where the YAML ones are read (Juniper and later), so that
the variable with which the process was started decides; where it can't be read, the release does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import HostSnapshot, Process
from edxconsole.discovery.model import Config
from edxconsole.errors import CommandFailed, CommandTimedOut, ServiceError
from edxconsole.inspect.edxapp_config import Claim, claims_of, parse_config
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight

READER = "www-data"
"""who may read edX's configuration files: the user that runs all of it"""
FORUM_ENV = "/edx/app/forum/forum_env"
_SERVICE = re.compile(r"/edx/etc/(\w{1,60})\.yml")
_PATH = re.compile(r"/[!-~]{1,300}")


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the two sites of edxapp, and where its settings can be."""

    component: str
    variables: tuple[str, ...]
    yaml: str
    json: tuple[str, ...]


VARIANTS = (
    Variant(
        "lms",
        ("LMS_CFG",),
        "/edx/etc/lms.yml",
        ("/edx/app/edxapp/lms.env.json", "/edx/app/edxapp/lms.auth.json"),
    ),
    Variant(
        "cms",
        ("CMS_CFG", "STUDIO_CFG"),
        "/edx/etc/studio.yml",
        ("/edx/app/edxapp/cms.env.json", "/edx/app/edxapp/cms.auth.json"),
    ),
)
XQUEUE = ("/edx/app/xqueue/xqueue.env.json", "/edx/app/xqueue/xqueue.auth.json")
PATTERNS = ("/edx/etc/*.yml", *(p for v in VARIANTS for p in v.json), *XQUEUE, FORUM_ENV)
"""what is looked for"""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which files of a variant are read by it, which are stale copies, and how that is known."""

    paths: tuple[str, ...]
    why: str
    stale: tuple[str, ...] = ()


def choose(variant: Variant, existing: Collection[str], told: str | None, pid: int | None) -> Choice:
    """Decide between the YAML and the JSON files.

    Args:
        told: what the variable of its process names, "" where it is not set, None where it was not seen.
    """
    every = tuple(p for p in (variant.yaml, *variant.json) if p in existing)
    if told:
        return Choice((told,), f"{variant.variables[0]} of pid {pid} names it", _without(every, told))
    json = tuple(p for p in variant.json if p in existing)
    if told == "" and json:
        return Choice(json, f"pid {pid} has no {variant.variables[0]}", _without(every, *json))
    if variant.yaml in existing:
        why = "taken to be, as Juniper and later read it; the environment of its process was not seen"
        return Choice((variant.yaml,), why, json)
    return Choice(json, "there is no YAML file")


def _without(paths: Iterable[str], *others: str) -> tuple[str, ...]:
    return tuple(p for p in paths if p not in others)


async def classic_configs(
    sight: Sight, catalog: Catalog, existing: Collection[str], report: Report
) -> list[Config]:
    """Every file of a classic install with what it names. What can't be read becomes `missing`."""
    found: list[Config] = []
    for variant in VARIANTS:
        found += await _edxapp(sight, variant, existing, report)
    for component, paths in _services(catalog, existing).items():
        process = _process(sight.host, component)
        if process is None:
            found += [Config(path, False, f"no {component} runs here") for path in paths]
            continue
        for path in paths:
            found += await _read(sight, path, process.user, f"{component} runs here", report)
    return found


def _services(catalog: Catalog, existing: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Component -> files of the other services."""
    sites = {variant.yaml for variant in VARIANTS}
    found: dict[str, tuple[str, ...]] = {
        match[1]: (path,)
        for path in sorted(existing)
        if path not in sites and (match := _SERVICE.fullmatch(path)) and match[1] in catalog.components
    }
    if "xqueue" not in found and (old := tuple(p for p in XQUEUE if p in existing)):
        found["xqueue"] = old
    if FORUM_ENV in existing:
        found["forum"] = (FORUM_ENV,)
    return {c: paths for c, paths in found.items() if c not in ("lms", "cms")}


async def _edxapp(sight: Sight, variant: Variant, existing: Collection[str], report: Report) -> list[Config]:
    process = _of_variant(sight.host, variant.component)
    told = await _told(sight, process, variant) if process is not None else None
    choice = choose(variant, existing, told, process.pid if process else None)
    found: list[Config] = []
    user = process.user if process is not None else READER
    for path in choice.paths:
        found += await _read(sight, path, user, choice.why, report)
    in_force = " and ".join(choice.paths)
    return found + [Config(path, False, f"a stale copy: in force is {in_force}") for path in choice.stale]


async def _told(sight: Sight, process: Process, variant: Variant) -> str | None:
    try:
        told = await sight.environment(process, variant.variables)
    except (ServiceError, CommandFailed, CommandTimedOut):
        return None
    named = next((told[name] for name in variant.variables if told.get(name)), "")
    return named if not named or _PATH.fullmatch(named) else None


async def _read(sight: Sight, path: str, user: str, why: str, report: Report) -> list[Config]:
    claims = await report.attempt(path, read_claims(sight, path, user))
    return [] if claims is None else [Config(path, True, why, claims)]


async def read_claims(sight: Sight, path: str, user: str) -> tuple[Claim, ...]:
    """The endpoints a file names; nothing else of it is kept. Raises as Sight.read, NotUnderstood."""
    return claims_of(parse_config(await sight.read(path, user=user), path), path)


def _process(host: HostSnapshot, component: str) -> Process | None:
    """The oldest process of a component that is the host's own."""
    pids = (pid for i in host.instances if i.component == component for pid in i.pids)
    own = [p for pid in pids if (p := host.processes.get(pid)) is not None and not p.contained]
    return min(own, key=lambda p: (p.start, p.pid), default=None)


def _of_variant(host: HostSnapshot, component: str) -> Process | None:
    """A process of LMS or Studio, else a worker of it: they are started with the same variables."""
    site = _process(host, component)
    if site is not None:
        return site
    pids = [pid for i in host.instances if i.component == "edxapp_worker" for pid in i.pids]
    workers = (host.processes.get(pid) for pid in pids)
    said = re.compile(rf"edx\.{component}\.core|manage\.py {component} |--app={component}\.celery")
    return next((p for p in workers if p and not p.contained and said.search(" ".join(p.argv))), None)
