"""Look at one host: what it was installed by, what runs there, what its files name. Read-only, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from edxconsole.catalog.endpoints import load_endpoint_rules
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import HostSnapshot, Instance, State
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth
from edxconsole.discovery.configs import PATTERNS, classic_configs
from edxconsole.discovery.install import CLASSIC_PATHS, installs_of
from edxconsole.discovery.model import Config, FoundHost, Running
from edxconsole.discovery.names import find
from edxconsole.discovery.releases import load_releases
from edxconsole.discovery.tutor import HOMES, tutor_configs, version_of
from edxconsole.discovery.upstreams import nginx_configs
from edxconsole.errors import TransportError
from edxconsole.inspect.report import Report
from edxconsole.inspect.resolving import address_of, is_loopback, resolve
from edxconsole.inspect.sight import Sight
from edxconsole.services.docker_client import DockerClient
from edxconsole.services.docker_projects import Project
from edxconsole.services.docker_watch import docker_socket
from edxconsole.transport.base import Transport

DEADLINE = 20.0
"""seconds for one host, above the deadlines of its single steps"""
_ALIVE = frozenset({UnitHealth.RUNNING, UnitHealth.STARTING})


async def look(
    transport: Transport, host: HostSnapshot, catalog: Catalog, *, sudo: bool, deadline: float = DEADLINE
) -> FoundHost:
    """Everything of one host that is live; `seconds` is left to who knows when it began.

    What can't be read is in `missing`; a host that is lost meanwhile is not reached.
    """
    await asyncio.to_thread(load_data)
    sight = Sight(transport, host, next(iter(catalog.components.values())), sudo=sudo)
    work = _Look(sight, catalog)
    try:
        async with asyncio.timeout(deadline):
            await work.all()
    except TimeoutError:
        work.report.missing("the rest", f"it was not told within {deadline:g} s", "look at the host's load")
    except TransportError as error:
        return FoundHost(host.name, host, reason=f"{error.cause}.")
    return work.found()


def load_data() -> None:
    """Read the data files that discovery stands on; later calls find them in memory."""
    load_releases()
    load_endpoint_rules()


class _Look:
    """One host while it is looked at."""

    def __init__(self, sight: Sight, catalog: Catalog) -> None:
        self.sight = sight
        self.catalog = catalog
        self.report = Report()
        self._own: frozenset[str] = frozenset()
        self._existing: tuple[str, ...] = ()
        self._projects: tuple[Project, ...] = ()
        self._roots: dict[str, str] = {}
        self._configs: list[Config] = []
        self._resolved: dict[str, tuple[str, ...]] = {}

    async def all(self) -> None:
        """One after the other: commands share the one session that the probe leaves."""
        await self._find()
        await self._docker()
        self._configs += await classic_configs(self.sight, self.catalog, self._existing, self.report)
        if _runs_outside(self.sight.host, "nginx"):
            self._configs += await nginx_configs(self.sight, self.catalog, self.report)
        self._configs += await tutor_configs(self.sight, self.catalog, self._projects, self.report)
        resolved = await self.report.attempt(
            "addresses of names", resolve(self.sight, names_in(self._configs, self._projects))
        )
        self._resolved = resolved or {}

    def found(self) -> FoundHost:
        host = self.sight.host
        installs = installs_of(self.catalog, host, self._existing, self._projects, self._roots)
        told = [i for i in host.instances if i.state is not State.ABSENT]
        runs = [_running(self.catalog, host, i) for i in told if is_running(host, i)]
        reached_at = address_of(host.address)
        return FoundHost(
            name=host.name,
            snapshot=host,
            reached=True,
            addresses=self._own | ({reached_at} if reached_at else set()),
            installs=installs,
            running=tuple(runs),
            idle=tuple(i for i in told if not is_running(host, i) and _lasting(self.catalog, i)),
            configs=tuple(self._configs),
            missing=self.report.done(host.name, "").missing,
            resolved=self._resolved,
        )

    async def _find(self) -> None:
        patterns = (*CLASSIC_PATHS, *PATTERNS, *(f.path for f in load_releases().files), *HOMES)
        told = await self.report.attempt("its files and addresses", find(self.sight, dict.fromkeys(patterns)))
        if told is not None:
            self._own, self._existing, closed = told
            for directory in closed:
                self.report.missing(f"files in {directory}", f"{self.sight.login} may not look into it")

    async def _docker(self) -> None:
        socket = docker_socket(self.sight.host)
        if socket is not None:
            client = DockerClient(self.sight.transport, socket)
            try:
                self._projects = await self.report.attempt("compose projects", client.projects()) or ()
            finally:
                await client.close()
        roots = [p.tutor_root for p in self._projects if p.tutor_root]
        roots += [p.rpartition("/")[0] for p in self._existing if p.endswith("/tutor/config.yml")]
        self._roots = {root: await version_of(self.sight, root) for root in dict.fromkeys(roots)}


def is_running(host: HostSnapshot, instance: Instance) -> bool:
    """Whether a process of it is there, or its manager says that it runs."""
    if any(pid in host.processes for pid in instance.pids):
        return True
    return any(unit.health in _ALIVE for unit in _units(host, instance))


def _running(catalog: Catalog, host: HostSnapshot, instance: Instance) -> Running:
    by = dict.fromkeys(_manager(u) for u in _units(host, instance) if u.health in _ALIVE)
    return Running(instance, tuple(by), _lasting(catalog, instance))


def _lasting(catalog: Catalog, instance: Instance) -> bool:
    component = catalog.get(instance.component)
    return component is not None and not component.normal_exit


def _manager(unit: Unit) -> str:
    return f"{CONTAINERS} {unit.name.partition(':')[0]}" if unit.kind == CONTAINERS else unit.kind


def _units(host: HostSnapshot, instance: Instance) -> Iterable[Unit]:
    return (unit for key in instance.units if (unit := host.units.get(key)) is not None)


def _runs_outside(host: HostSnapshot, component: str) -> bool:
    return any(
        i.component == component and is_running(host, i) and not contained(host, i) for i in host.instances
    )


def names_in(configs: Iterable[Config], projects: Sequence[Project]) -> list[str]:
    """The names that must be resolved to know where the files in force lead; services are known already."""
    services = {p.name: p.images.keys() for p in projects}
    return [
        claim.host
        for config in configs
        if config.in_force
        for claim in config.claims
        if claim.host
        and not address_of(claim.host)
        and not is_loopback(claim.host)
        and claim.host not in services.get(config.project, ())
        and not claim.key.startswith("services.")
    ]
