"""What Tutor rendered under TUTOR_ROOT: its config.yml, its compose files, the settings of LMS and Studio.

Most of what these files hold is secret; only endpoints and names of services leave here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from edxconsole.catalog.matching import component_of_unit
from edxconsole.catalog.model import Catalog
from edxconsole.discovery.configs import read_claims
from edxconsole.discovery.install import is_tutor
from edxconsole.discovery.model import Config
from edxconsole.errors import NotUnderstood, ServiceError
from edxconsole.inspect.edxapp_config import Claim, parse_config
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.services.docker_projects import Project

HOMES = ("/home/*/.local/share/tutor/config.yml", "/root/.local/share/tutor/config.yml")
"""TUTOR_ROOT where nothing else was said (`tutor config printroot`)"""
OWNER = "root"
RENDERED = ("config.yml", "env/apps/openedx/config/lms.env.yml", "env/apps/openedx/config/cms.env.yml")
COMPOSE = ("env/local/docker-compose.yml", "env/local/docker-compose.prod.yml")
VERSION = "env/version"
MAX_SERVICES = 100


async def version_of(sight: Sight, root: str) -> str:
    """The version of Tutor that rendered the files under a root; "" where that can't be read."""
    try:
        return (await sight.read(f"{root}/{VERSION}", user=OWNER, limit=200)).strip()
    except ServiceError:
        return ""


async def tutor_configs(
    sight: Sight, catalog: Catalog, projects: Sequence[Project], report: Report
) -> list[Config]:
    """Every file of every Tutor project with what it names. What can't be read becomes `missing`."""
    found: list[Config] = []
    for project in projects:
        if not is_tutor(project) or not project.tutor_root:
            continue
        root = project.tutor_root
        for name in RENDERED:
            path = f"{root}/{name}"
            claims = await report.attempt(path, read_claims(sight, path, OWNER))
            if claims is not None:
                found.append(Config(path, True, f"of project {project.name}", claims, project.name))
        for path in _compose_files(project):
            claims = await report.attempt(path, _services(sight, catalog, path))
            if claims is not None:
                found.append(Config(path, True, f"of project {project.name}", claims, project.name))
    return found


def _compose_files(project: Project) -> list[str]:
    """Those its containers were made of, but for the jobs, which are no services."""
    root = project.tutor_root
    said = [p for p in project.config_files if p.startswith(f"{root}/") and ".jobs." not in p]
    return said or [f"{root}/{name}" for name in COMPOSE]


async def _services(sight: Sight, catalog: Catalog, path: str) -> tuple[Claim, ...]:
    text = await sight.read(path, user=OWNER)
    return await asyncio.to_thread(lambda: services_of(catalog, parse_config(text, path), path))


def services_of(catalog: Catalog, tree: Mapping[str, object], path: str) -> tuple[Claim, ...]:
    """A claim for each service of a compose file that the catalog knows and that shall last.

    Raises NotUnderstood when it is no compose file.
    """
    services = tree.get("services")
    if not isinstance(services, dict):
        raise NotUnderstood(f"{path} has no services")
    claims = []
    for name in list(services)[:MAX_SERVICES]:
        component = catalog.get(component_of_unit(catalog, "compose", name))
        if component is not None and not component.normal_exit:
            claims.append(Claim(component.id, name, None, None, f"services.{name}", path))
    return tuple(claims)
