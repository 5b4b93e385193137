"""How Open edX came onto a host: what its files, programs, containers and labels tell. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from edxconsole.catalog.matching import component_of_process, component_of_unit
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import HostSnapshot
from edxconsole.discovery.model import Install, Kind, Sign
from edxconsole.discovery.releases import (
    argv_signs,
    file_signs,
    name_signs,
    narrowed,
    supervisor_signs,
    tutor_release,
)
from edxconsole.services.docker_projects import Project

SUPERVISOR_CONF = "/edx/app/supervisor/supervisord.conf"
CLASSIC_PATHS = (SUPERVISOR_CONF, "/edx/app")
OPENEDX_SERVICES = frozenset({"lms", "cms", "lms-worker", "cms-worker"})
_IMAGE_VERSION = re.compile(r"(?:^|/)openedx(?:-[\w-]{1,40})?:(\d{1,3}\.\d{1,4}(?:\.\d{1,4})?)")
_MAX_EVIDENCE = 8


def installs_of(
    catalog: Catalog,
    host: HostSnapshot,
    existing: Sequence[str],
    projects: Sequence[Project],
    roots: Mapping[str, str],
) -> tuple[Install, ...]:
    """Every installation seen; one of kind NONE when there is none, UNKNOWN when it can't be told.

    Args:
        existing: paths that are there, of those looked for.
        roots: TUTOR_ROOTs seen on its disk -> version of Tutor that rendered it, "" when not told.
    """
    found = [*_classic(catalog, host, existing), *_tutors(projects, roots)]
    if found:
        return tuple(found)
    return (Install(Kind.NONE if host.processes else Kind.UNKNOWN),)


def _classic(catalog: Catalog, host: HostSnapshot, existing: Sequence[str]) -> list[Install]:
    places = [path for path in CLASSIC_PATHS if path in existing]
    configs = [s.config for s in host.supervisors if s.config.endswith(SUPERVISOR_CONF)]
    if not places and not configs:
        return []
    release, contradiction = narrowed(signs := tuple(_signs(catalog, host, existing)))
    evidence = [f"{places[0]} exists"] if places else []
    evidence += [f"supervisord runs with {config}" for config in configs[:1] if config not in places[:1]]
    evidence += [s.text for s in signs]
    kept = tuple(dict.fromkeys(evidence))[:_MAX_EVIDENCE]
    return [Install(Kind.CLASSIC, release, kept, contradiction=contradiction)]


def _signs(catalog: Catalog, host: HostSnapshot, existing: Sequence[str]) -> Iterable[Sign]:
    yield from supervisor_signs(s.version for s in host.supervisors)
    yield from file_signs(existing)
    programs = sorted(u.name for u in host.units.values() if u.kind == "supervisor")
    named = [(component_of_unit(catalog, "supervisor", name), name) for name in programs]
    yield from name_signs(catalog, named)
    own = (p for p in host.processes.values() if not p.contained)
    known = (p for p in own if component_of_process(catalog, p.comm, p.argv))
    yield from argv_signs(" ".join(p.argv)[:4096] for p in known)


def _tutors(projects: Sequence[Project], roots: Mapping[str, str]) -> list[Install]:
    found, told = [], set()
    for project in projects:
        if not is_tutor(project):
            continue
        root = project.tutor_root
        told.add(root)
        images = [m[1] for image in project.images.values() if (m := _IMAGE_VERSION.search(image))]
        version = images[0] if images else roots.get(root, "")
        evidence = [f"compose project {project.name}"]
        evidence += [f"image openedx:{images[0]}"] if images else []
        evidence += [f"rendered under {root}"] if root else []
        found.append(Install(Kind.TUTOR, tutor_release(version), tuple(evidence), project.name, root))
    for root, version in roots.items():
        if root not in told:
            evidence = [f"{root}/config.yml exists", "no container of it was seen"]
            found.append(Install(Kind.TUTOR, tutor_release(version), tuple(evidence), root=root))
    return found


def is_tutor(project: Project) -> bool:
    """Whether a compose project is Tutor's: by its name, or by the services that Open edX has."""
    return project.name.startswith("tutor") or len(OPENEDX_SERVICES & project.images.keys()) > 1
