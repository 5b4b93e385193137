"""What belongs together on one host: a service, its ports, its programs, its logs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edxconsole.cluster.model import HostSnapshot, Instance
from widgets.port_table import port_key


@dataclass(frozen=True, slots=True)
class Links:
    """Row keys of the panes that belong to a selection, and what to follow for it."""

    services: frozenset[str] = frozenset()
    programs: frozenset[str] = frozenset()
    ports: frozenset[str] = frozenset()
    component: str = ""
    unit: str = ""
    """a "manager/name" key when one unit is meant"""


def of_service(host: HostSnapshot, key: str) -> Links:
    """Links of a row of the services pane."""
    kind, _, name = key.partition(":")
    if kind == "u":
        return _of_unit(host, name, frozenset({key}))
    instance = _instance(host, name)
    return _of_instance(host, instance) if instance is not None else Links(services=frozenset({key}))


def of_program(host: HostSnapshot, key: str) -> Links:
    """Links of a row of the supervisor pane: only that program's own ports."""
    instance = next((i for i in host.instances if key in i.units), None)
    if instance is None:
        return _of_unit(host, key, frozenset())
    whole = _of_instance(host, instance)
    unit = host.units.get(key)
    own = frozenset(
        port_key(s) for s in host.listeners if unit is not None and s.pid and s.pid == unit.identity.pid
    )
    return Links(whole.services, frozenset({key}), own or whole.ports, instance.component, key)


def of_port(host: HostSnapshot, key: str) -> Links:
    """Links of a row of the ports pane, by the owner's pid first, by component otherwise."""
    listener = next((s for s in host.listeners if port_key(s) == key), None)
    if listener is None:
        return Links(ports=frozenset({key}))
    owner = next((i for i in host.instances if listener.pid in i.pids), None)
    instance = owner or _instance(host, listener.component)
    if instance is None:
        return Links(ports=frozenset({key}))
    whole = _of_instance(host, instance)
    programs = frozenset(k for k in whole.programs if _pid(host, k) == listener.pid) or whole.programs
    return Links(whole.services, programs, frozenset({key}), instance.component)


def _instance(host: HostSnapshot, component: str) -> Instance | None:
    return next((i for i in host.instances if i.component == component), None)


def _pid(host: HostSnapshot, key: str) -> int | None:
    unit = host.units.get(key)
    return unit.identity.pid if unit is not None else None


def _of_instance(host: HostSnapshot, instance: Instance) -> Links:
    ports = frozenset(
        port_key(s)
        for s in host.listeners
        if s.component == instance.component or (s.pid is not None and s.pid in instance.pids)
    )
    return Links(frozenset({f"c:{instance.component}"}), frozenset(instance.units), ports, instance.component)


def _of_unit(host: HostSnapshot, key: str, services: frozenset[str]) -> Links:
    pid = _pid(host, key)
    ports = frozenset(port_key(s) for s in host.listeners if pid is not None and s.pid == pid)
    return Links(services, frozenset({key}), ports, unit=key)
