"""Which logs there are to follow: what the catalog knows of components seen on a host, what supervisord
writes the output of its programs to, and what containers print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from edxconsole.catalog.matching import component_of_unit
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, State
from edxconsole.cluster.units import CONTAINER_LOG, Unit
from edxconsole.logs.model import LogSource


def log_sources(
    catalog: Catalog,
    snapshot: ClusterSnapshot,
    hosts: Iterable[str],
    components: Iterable[str] | None = None,
) -> list[LogSource]:
    """Sources of these hosts, in catalog order; of all components, or of the given ones.

    Files with personal data (tracking.log) are left out. A unit's file that a catalog glob also
    names is listed once, under the unit, so that nothing is followed twice.
    """
    wanted = None if components is None else frozenset(components)
    found: list[LogSource] = []
    for name in hosts:
        host = snapshot.hosts.get(name)
        if host is not None:
            found += [s for s in _of_host(catalog, host) if wanted is None or s.component in wanted]
    return found


def _of_host(catalog: Catalog, host: HostSnapshot) -> Iterator[LogSource]:
    own = list(_of_units(catalog, host))
    paths = {s.path for s in own}
    seen = {i.component for i in host.instances if i.state is not State.ABSENT and not contained(host, i)}
    for component in catalog.components.values():
        if component.id not in seen:
            continue
        for spec in component.logs:
            if spec.personal or any(fnmatchcase(p, spec.path) for p in paths):
                continue
            yield LogSource(host.name, spec.path, component.id, spec.name, spec.format)
        yield from (s for s in own if s.component == component.id)
    yield from (s for s in own if s.component not in seen)


def _of_units(catalog: Catalog, host: HostSnapshot) -> Iterator[LogSource]:
    taken: set[str] = set()
    for unit in host.units.values():
        component = component_of_unit(catalog, unit.kind, unit.name, unit.aliases)
        for path in unit.log_paths:
            if path not in taken:
                taken.add(path)
                kind = _format(catalog, component, path)
                yield LogSource(host.name, path, component, _short(unit, path), kind)


def _format(catalog: Catalog, component: str, path: str) -> str:
    known = catalog.get(component)
    if path.startswith(CONTAINER_LOG):
        return known.tutor.stdout if known is not None and known.tutor is not None else "plain"
    specs = known.logs if known is not None else ()
    return next((s.format for s in specs if fnmatchcase(path, s.path)), "plain")


def _short(unit: Unit, path: str) -> str:
    """ "lms-stderr": the program without its group, and which of its streams; "lms" for a container."""
    program = unit.name.rpartition(":")[2]
    if path.startswith(CONTAINER_LOG):
        return program
    name = path.rpartition("/")[2].removesuffix(".log")
    return name if name.startswith(program) else f"{program} {name}"
