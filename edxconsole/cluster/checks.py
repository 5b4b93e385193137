"""Which health checks a component has on a host: on the host itself, and in each of its containers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edxconsole.catalog.model import Component, HealthSpec
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import HostSnapshot, Instance
from edxconsole.cluster.units import CONTAINERS, Unit, UnitHealth


@dataclass(frozen=True, slots=True)
class Check:
    """One check in one place."""

    name: str
    """as it is reported: "heartbeat"; in a container "heartbeat in tutor_local:lms" """
    spec: HealthSpec
    unit: Unit | None = None
    """the container it is asked in; None: on the host itself"""


def speaks_tls(port: int) -> bool:
    """By Open edX's rule of ports (P, 1P, 4P: domain.md section 1.2)."""
    return port == 443 or 48000 <= port < 49000


def checks_of(
    component: Component, units: Iterable[Unit], *, own: bool, ports: Iterable[int] = ()
) -> tuple[Check, ...]:
    """Every check of a component that runs.

    Args:
        units: all of its units there.
        own: whether it runs on the host itself, too.
        ports: on which it listens on the host itself.
    """
    tls = any(map(speaks_tls, ports))
    found = [Check(s.name, s) for s in component.health if own and (tls or s.kind != "tls")]
    specs = component.tutor.health if component.tutor else ()
    running = (u for u in units if u.kind == CONTAINERS and u.health is UnitHealth.RUNNING)
    found += [Check(f"{spec.name} in {unit.name}", spec, unit) for unit in running for spec in specs]
    return tuple(found)


def checks_on(
    host: HostSnapshot, component: Component, instance: Instance | None, *, whatever: bool = False
) -> tuple[Check, ...]:
    """Every check of an instance as it was last seen.

    Args:
        instance: None: it was not seen, and belongs on the host itself.
        whatever: those of the host itself though nothing of it is seen to run there, as just after an act.
    """
    if instance is None:
        return checks_of(component, (), own=whatever)
    units = [host.units[key] for key in instance.units if key in host.units]
    own = not contained(host, instance) if whatever else _on_host(host, instance, units)
    return checks_of(component, units, own=own, ports=instance.ports)


def _on_host(host: HostSnapshot, instance: Instance, units: Iterable[Unit]) -> bool:
    """Whether a process of the host's own is of it, or a unit that runs though its processes are hidden."""
    managed = any(u.kind != CONTAINERS and u.health is UnitHealth.RUNNING for u in units)
    processes = (host.processes.get(pid) for pid in instance.pids)
    return managed or any(p is not None and not p.contained for p in processes)
