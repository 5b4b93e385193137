"""The containers of a Tutor project as Docker tells them now: where each is reached, and Tutor's own files.

Docker's API, only GET, at the moment of use (domain.md section 6): services are named, not addressed, in
Tutor's configuration, and only Docker knows at which address of its network a name is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edxconsole.cluster.containers import contained
from edxconsole.cluster.units import CONTAINERS, Unit
from edxconsole.errors import ServiceFault
from edxconsole.inspect.container_files import Inside, inside_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.web_api import Json, WebApi, at, web_api, words
from edxconsole.services.docker_client import SOCKET
from edxconsole.services.docker_units import MAX_NETWORKS, address_of, container_id, places_of

MAX_CONTAINERS = 30
MAX_ALIASES = 20
WORKING_DIR = "com.docker.compose.project.working_dir"
_ENV = re.compile(r"(/[\w.@/ -]{1,300})/env/(?:local|dev)")
"""where Tutor's compose files lie: the directory above is its root"""
APPS = "env/apps/openedx/config"


@dataclass(frozen=True, slots=True)
class Project:
    """One Tutor project on one host."""

    root: str = ""
    """TUTOR_ROOT, "" where its label does not tell"""
    services: frozenset[str] = frozenset()
    """those that have a container, whether or not it runs"""
    addresses: Mapping[str, str] = field(default_factory=dict)
    """service, or another name that its network knows -> address as its host reaches it; of those that run"""
    hostnames: Mapping[int, str] = field(default_factory=dict)
    """pid of a container's first process, as the host counts -> the name that the container calls itself"""
    inside: Mapping[str, Inside] = field(default_factory=dict)
    """container as its unit is named -> which files its programs are told to read"""

    def file(self, path: str) -> str | None:
        """A file of Tutor's, by its path below the root."""
        return f"{self.root}/{path}" if self.root else None


async def project_of(sight: Sight, report: Report) -> Project | None:
    """The project that a component's containers are of; None where it runs in none, or Docker tells nothing,
    which is then told as missing. Raises ConnectionLost."""
    if sight.instance is None or not contained(sight.host, sight.instance):
        return None
    own = sight.host.units[sight.instance.units[0]]
    name = _project(own)
    units = [u for u in sight.host.units.values() if u.kind == CONTAINERS and _project(u) == name]
    async with web_api(sight.transport, SOCKET, "Docker") as api:
        project = Project(services=frozenset(p.service for u in units for p in places_of(u.name)[:1]))
        for unit in sorted(units, key=lambda u: u.name != own.name)[:MAX_CONTAINERS]:
            project = await report.attempt("containers", _with(api, project, unit)) or project
    return project


def services_of(sight: Sight) -> list[str]:
    """The compose services whose containers a component is, in order."""
    units = (sight.host.units[key] for key in (sight.instance.units if sight.instance else ()))
    return [place.service for unit in units for place in places_of(unit.name)[:1]]


def _project(unit: Unit) -> str:
    return unit.name.partition(":")[0]


async def _with(api: WebApi, project: Project, unit: Unit) -> Project:
    ident = container_id(unit.identity.invocation)
    places = places_of(unit.name)
    if ident is None or not places:
        return project
    try:
        told = await api.get(f"/containers/{ident}/json")
    except ServiceFault as fault:
        if fault.code == 404:
            return project
        raise
    place = _ENV.fullmatch(words(at(told, "Config", "Labels", WORKING_DIR)))
    inside, hostname = inside_of(told, places[0].service), words(at(told, "Config", "Hostname"))
    return replace(
        project,
        root=project.root or (place[1] if place and ".." not in place[1] else ""),
        addresses=_addresses(told, inside, project.addresses),
        hostnames={**project.hostnames, **({inside.pid: hostname} if inside.pid else {})},
        inside={**project.inside, unit.name: inside},
    )


def _addresses(told: Json, inside: Inside, known: Mapping[str, str]) -> dict[str, str]:
    """With those of this container, under every name that other containers may call it by."""
    address = address_of(told)
    if not address or inside.pid is None:
        return dict(known)
    names = [words(told.get("Name")).removeprefix("/")]
    networks = at(told, "NetworkSettings", "Networks")
    for network in list(networks.values())[:MAX_NETWORKS] if isinstance(networks, Mapping) else []:
        aliases = at(network, "Aliases")
        names += [words(a) for a in aliases[:MAX_ALIASES]] if isinstance(aliases, list) else []
    return {**{name: address for name in names if name}, **known, inside.service: address}
