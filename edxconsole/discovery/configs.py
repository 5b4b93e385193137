"""The configuration files of a classic install: which are in force, and the endpoints that those name.

Ansible renders the JSON files of edxapp also where the YAML ones are read (Juniper and later), so that
the variable with which the process was started decides; where it can't be read, the release does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import HostSnapshot, Process
from edxconsole.discovery.model import Config
from edxconsole.inspect.edxapp_config import Claim, claims_of, parse_config
from edxconsole.inspect.edxapp_files import VARIANTS, InForce, Variant, in_force, variants_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight

READER = "www-data"
"""who may read edX's configuration files: the user that runs all of it"""
FORUM_ENV = "/edx/app/forum/forum_env"
_SERVICE = re.compile(r"/edx/etc/(\w{1,60})\.yml")
XQUEUE = ("/edx/app/xqueue/xqueue.env.json", "/edx/app/xqueue/xqueue.auth.json")
PATTERNS = ("/edx/etc/*.yml", *(p for v in VARIANTS.values() for p in v.old), *XQUEUE, FORUM_ENV)
"""what is looked for"""


async def classic_configs(
    sight: Sight, catalog: Catalog, existing: Collection[str], report: Report
) -> list[Config]:
    """Every file of a classic install with what it names. What can't be read becomes `missing`."""
    found: list[Config] = []
    for variant in VARIANTS.values():
        found += await _edxapp(sight, variant, existing, report)
    for component, paths in _services(catalog, existing).items():
        process = next(iter(_processes(sight.host, component)), None)
        if process is None:
            found += [Config(path, False, f"no {component} runs here") for path in paths]
            continue
        for path in paths:
            found += await _read(sight, path, process.user, f"{component} runs here", report)
    return found


def _services(catalog: Catalog, existing: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Component -> files of the other services."""
    sites = {variant.usual for variant in VARIANTS.values()}
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
    process = _of_variant(sight.host, variant.name)
    if process is None:
        choice = by_place(variant, existing)
    else:
        told = await report.attempt(
            f"which files {variant.name} reads", in_force(sight, variant, process, existing)
        )
        choice = told or by_place(variant, existing)
    found: list[Config] = []
    paths = [p for p in choice.paths if p in existing or p not in variant.candidates]
    if process is not None and not paths:
        report.missing(f"the configuration of {variant.name}", "it runs, but none of its files is seen")
    for path in paths:
        found += await _read(sight, path, process.user if process else READER, choice.told_by, report)
    in_use = " and ".join(paths) or "another"
    stale = (p for p in variant.candidates if p in existing and p not in paths)
    return found + [Config(path, False, f"a stale copy: in force is {in_use}") for path in stale]


def by_place(variant: Variant, existing: Collection[str]) -> InForce:
    """What is read where no process tells: Juniper and later read the YAML file, those before it JSON."""
    if variant.usual in existing:
        return InForce((variant.usual,), "no process of it tells; Juniper and later read this one")
    return InForce(tuple(p for p in variant.old if p in existing), "no process of it tells; no YAML is there")


async def _read(sight: Sight, path: str, user: str, why: str, report: Report) -> list[Config]:
    claims = await report.attempt(path, read_claims(sight, path, user))
    return [] if claims is None else [Config(path, True, why, claims)]


async def read_claims(sight: Sight, path: str, user: str) -> tuple[Claim, ...]:
    """The endpoints a file names; nothing else of it is kept. Raises as Sight.read, NotUnderstood."""
    text = await sight.read(path, user=user)
    # In a thread: a large YAML file takes a tenth of a second.
    return await asyncio.to_thread(lambda: claims_of(parse_config(text, path), path))


def _processes(host: HostSnapshot, component: str) -> list[Process]:
    """Those of a component that are the host's own, the oldest first."""
    pids = (pid for i in host.instances if i.component == component for pid in i.pids)
    own = [p for pid in pids if (p := host.processes.get(pid)) is not None and not p.contained]
    return sorted(own, key=lambda p: (p.start, p.pid))


def _of_variant(host: HostSnapshot, variant: str) -> Process | None:
    """A process of LMS or Studio, else a worker of it: they are started with the same variables."""
    for component in (variant, "edxapp_worker"):
        found = variants_of(component, _processes(host, component)).get(variant)
        if found is not None:
            return found
    return None
