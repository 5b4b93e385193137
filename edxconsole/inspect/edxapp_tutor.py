"""Which files the LMS, Studio and their workers read in containers, as Docker tells; Tutor's places beside.

Tutor mounts `env/apps/openedx/config` and `env/apps/openedx/settings/{lms,cms}` of its root into them; its
image names the first by LMS_CFG and CMS_CFG, its compose file the second by DJANGO_SETTINGS_MODULE (tutor
22.0.3: templates/build/openedx/Dockerfile, templates/local/docker-compose.yml).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from edxconsole.cluster.listening import descends
from edxconsole.errors import CommandFailed, PermissionMissing
from edxconsole.inspect.container_files import Inside
from edxconsole.inspect.edxapp_files import VARIANTS, FileStatus, InForce, Variant, status_of
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import APPS, Project

CONFIG, PLATFORM = "/openedx/config", "/openedx/edx-platform"
"""where Tutor's containers have them"""
OWNER = "root"
"""with whose rights Tutor's files are read where the login may not: they are of whoever runs tutor"""
UNTOLD = "Docker does not tell which files its containers read"
PARSED = (".yml", ".yaml", ".json", ".py")

_MODULE = re.compile(r"(?:lms|cms)(?:\.[A-Za-z_]\w{0,60}){1,6}")


@dataclass(frozen=True, slots=True)
class Reader:
    """One container that runs the LMS, Studio, or workers of one of them."""

    unit: str
    """tutor_local:lms-worker"""
    inside: Inside


@dataclass(frozen=True, slots=True)
class Told:
    """The files of one container."""

    force: InForce
    lacks: tuple[tuple[str, str], ...] = ()
    """what is read and can't be seen, and why"""
    mounted: tuple[tuple[str, str], ...] = ()
    """path in the container, path on the host; of those that a mount leads to"""


def readers_of(sight: Sight, project: Project | None) -> dict[str, list[Reader]]:
    """Variant -> the containers of this component that run it; in the order of VARIANTS."""
    found: dict[str, list[Reader]] = {name: [] for name in VARIANTS}
    keys = sight.instance.units if sight.instance and project else ()
    for key in keys:
        unit = sight.host.units.get(key)
        inside = project.inside.get(unit.name) if project and unit else None
        name = _variant_of(inside, sight.component.id) if inside else None
        if unit is not None and inside is not None and name is not None:
            found[name].append(Reader(unit.name, inside))
    return {name: readers for name, readers in found.items() if readers}


def documented(variant: Variant, project: Project) -> tuple[str, ...]:
    """Where Tutor renders its files, by the root that compose's label tells; () without it."""
    paths = (f"{APPS}/{variant.name}.env.yml", f"env/apps/openedx/settings/{variant.name}/production.py")
    return tuple(path for below in paths if (path := project.file(below)) is not None)


def told_of(reader: Reader, variant: Variant, project: Project, there: Collection[str]) -> Told:
    """Which files of the host a container reads, in order: its variables and mounts tell, else Tutor's docs.

    Args:
        there: which of `documented` are known to exist.
    """
    usual = f"{CONFIG}/{variant.name}.env.yml"
    named = next(((n, p) for n in variant.variables if (p := reader.inside.variables.get(n))), None)
    by_default = (*documented(variant, project), None)[0]
    paths, told, lacks, mounted = [], [], [], []
    name, place = named or ("", usual)
    found = reader.inside.on_host(place)
    if found is not None and found.endswith(PARSED):
        paths.append(found)
        mounted.append((place, found))
        told.append(f"{name} of {reader.unit}" if name else f"{usual}, Tutor's usual place, of {reader.unit}")
    elif named is None and by_default is not None:
        paths.append(by_default)
        told.append(f"Tutor's documented path: {reader.unit} has neither {variant.variables[0]} nor a mount")
    else:
        lacks.append((f"settings of {place}", _not_mounted(reader, found)))
    module, path = _module(reader, variant)
    python = reader.inside.on_host(path)
    if python is not None:
        paths.append(python)
        mounted.append((path, python))
        told.append(module or "Tutor's usual settings module")
    elif module:
        lacks.append((f"settings of {module}", _not_mounted(reader, None)))
    else:
        paths += [p for p in documented(variant, project)[1:] if p in there]
    source = f"{' and '.join(told)}; mounts (Docker)" if told else f"mounts of {reader.unit} (Docker)"
    return Told(InForce(tuple(dict.fromkeys(paths)), source), tuple(lacks), tuple(mounted))


async def unlike(
    sight: Sight, reader: Reader, mounted: tuple[str, str], there: Mapping[str, FileStatus]
) -> str | None:
    """What a container has in place of a file of the host, in a sentence; None where it has the same.

    A mount leads to what was there when the container started: a directory that is removed and made again,
    as `tutor config save --clean-env` does, is another one. Raises PermissionMissing, other TransportErrors.
    """
    place, path = mounted
    pid, mine = reader.inside.pid, there.get(path)
    if pid is None or mine is None:
        return None
    root = f"/proc/{pid}/root"
    try:
        its = await status_of(sight, f"{root}{place}", OWNER)
    except (PermissionMissing, CommandFailed) as error:
        # The rule that sudo would want names a pid, which the next start changes.
        raise PermissionMissing("only root can look into it", remedy="log in with more rights") from error
    if its is not None and (its.size, its.changed_at) == (mine.size, mine.changed_at):
        return None
    if its is None and await status_of(sight, f"{root}/", OWNER) is None:
        return None
    has = f"no longer has {place}" if its is None else f"has another {place}"
    return f"{reader.unit} {has}: what it mounted was replaced by {path}, which it sees once it is restarted"


def read_at(sight: Sight, readers: Iterable[Reader]) -> float | None:
    """When the first of them that runs had read its settings, epoch s, console clock; None: none runs.

    A worker reads them when its container starts. uWSGI's and gunicorn's workers are new after a reload,
    which leaves their container and its first process as they were.
    """
    found: list[float] = []
    every = sight.host.processes
    for reader in readers:
        first, started = reader.inside.pid, reader.inside.started_at
        if first is None or started is None:
            continue
        found.append(started - (sight.host.skew or 0.0))
        if sight.component.id in VARIANTS:
            children = [
                p.started_at for p in every.values() if p.pid != first and descends(p.pid, first, every)
            ]
            found[-1] = min(children, default=found[-1])
    return min(found, default=None)


def _variant_of(inside: Inside, component: str) -> str | None:
    """By what the container was told, else by what its component or service is called."""
    told = inside.variables
    names = (
        told.get("SERVICE_VARIANT", ""),
        told.get("DJANGO_SETTINGS_MODULE", "").partition(".")[0],
        component,
        inside.service.partition("-")[0],
    )
    return next((name for name in names if name in VARIANTS), None)


def _module(reader: Reader, variant: Variant) -> tuple[str, str]:
    """The settings module that it was told, "" without one; and its file in the container."""
    told = reader.inside.variables.get("DJANGO_SETTINGS_MODULE", "")
    module = told if _MODULE.fullmatch(told) else ""
    path = (module or f"{variant.name}.envs.tutor.production").replace(".", "/")
    root = reader.inside.directory if module else ""
    return module, f"{root or PLATFORM}/{path}.py"


def _not_mounted(reader: Reader, found: str | None) -> str:
    if found is not None:
        return f"{found} is none of {', '.join(PARSED)}"
    return f"no mount of {reader.unit} has it: it is part of the container's image"
