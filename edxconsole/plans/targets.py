"""Which units a selector means, for a verb. Pure: (catalog, snapshot, selector, verb) -> targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edxconsole.catalog.matching import component_of_unit
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.errors import PreflightFailed, UsageError
from edxconsole.inventory.model import Inventory
from edxconsole.inventory.selectors import Selector, hosts_of
from edxconsole.services.base import Verb

MANAGER_RANK = {"supervisor": 0, "docker": 1, "systemd": 2, "sysv": 3}
"""When two managers know the same component on a host, the one nearest to the process acts."""

RUNNING = frozenset({UnitHealth.RUNNING, UnitHealth.STARTING})


@dataclass(frozen=True, slots=True)
class Target:
    """One unit on one host, as last seen."""

    host: str
    component: str
    unit: Unit


def select_targets(
    inventory: Inventory, catalog: Catalog, snapshot: ClusterSnapshot, selector: Selector, verb: Verb
) -> tuple[Target, ...]:
    """The units to act on, in start order of their components, then inventory order.

    Raises:
        UsageError: it names no host, or nothing on them, or nothing the verb would change.
        PreflightFailed: a host it names is not live, so nothing there may be trusted.
    """
    hosts = [h for h in hosts_of(selector, inventory) if h in snapshot.hosts]
    if not hosts:
        raise UsageError(f"{selector} names no host that is watched here", remedy="see `edxconsole status`")
    found = [t for h in hosts for t in _on_host(catalog, snapshot.hosts[h], selector)]
    dark = [h for h in hosts if not snapshot.hosts[h].trusted]
    if dark and (not found or any(t.host in dark for t in found)):
        raise _dark(snapshot.hosts[dark[0]])
    if not found:
        raise UsageError(f"nothing on {', '.join(hosts)} is named {selector}", remedy=_where(snapshot, hosts))
    wanted = tuple(t for t in found if _changes(t.unit, verb, _loops(snapshot, t)))
    if not wanted:
        state = "running" if verb is Verb.START else "stopped"
        names = ", ".join(f"{t.unit.name} on {t.host}" for t in found)
        raise UsageError(f"nothing to {verb.value}: {names} already {state}")
    return tuple(sorted(wanted, key=lambda t: _order(catalog, t, verb)))


def _where(snapshot: ClusterSnapshot, hosts: list[str]) -> str:
    """Where to look for what was not found; some of it may be hidden from this login."""
    blind = [
        h for h in hosts if snapshot.hosts[h].notes or any(s.error for s in snapshot.hosts[h].supervisors)
    ]
    if blind:
        return f"not everything is seen there, see `edxconsole check @{blind[0]}`"
    return "see `edxconsole status`"


def _dark(host: HostSnapshot) -> PreflightFailed:
    """Why nothing is done on a host that is not live; the remedy is that of its link, if it has one."""
    cause = f"it is {host.link.value}, so what it runs is not known and nothing is changed there"
    reason = host.reason.rstrip(".")
    if "; " in reason:
        return PreflightFailed(f"{cause}: {reason}", host=host.name)
    said = f" ({reason})" if reason not in ("", host.link.value) else ""
    remedy = "wait until it is live, or leave it out of the selector"
    return PreflightFailed(f"{cause}{said}", host=host.name, remedy=remedy)


def _on_host(catalog: Catalog, host: HostSnapshot, selector: Selector) -> Iterator[Target]:
    ranked: dict[str, list[Target]] = {}
    for unit in host.units.values():
        component = component_of_unit(catalog, unit.kind, unit.name, unit.aliases)
        if _means(selector, component, unit):
            ranked.setdefault(component or unit.name, []).append(Target(host.name, component, unit))
    for targets in ranked.values():
        best = min(MANAGER_RANK.get(t.unit.kind, 9) for t in targets)
        yield from (t for t in targets if MANAGER_RANK.get(t.unit.kind, 9) == best)


def _means(selector: Selector, component: str, unit: Unit) -> bool:
    """By component id, or by the unit's own name or alias where the catalog does not know it."""
    names = (unit.name, *unit.aliases)
    short = (part for name in names for part in (name.rpartition(":")[2], name.removesuffix(".service")))
    named = {component, *names, *short} - {""}
    return any(selector.matches_unit(name) for name in names) and any(
        selector.matches_component(name) for name in named
    )


def _loops(snapshot: ClusterSnapshot, target: Target) -> bool:
    return f"{target.unit.manager}/{target.unit.name}" in snapshot.hosts[target.host].restarting


def _changes(unit: Unit, verb: Verb, loops: bool) -> bool:
    """Whether the verb would change this unit. What can't be told is left to the manager.

    In a crash loop EXITED lasts only until its manager starts it again.
    """
    if unit.health is UnitHealth.UNKNOWN or (loops and unit.health is UnitHealth.EXITED):
        return True
    if verb is Verb.START:
        return unit.health not in RUNNING
    if verb is Verb.STOP:
        return unit.health not in (UnitHealth.STOPPED, UnitHealth.EXITED)
    if verb is Verb.RELOAD:
        return unit.health in RUNNING
    return True


def _order(catalog: Catalog, target: Target, verb: Verb) -> int:
    component = catalog.get(target.component)
    order = component.start_order if component else 50
    return -order if verb is Verb.STOP else order
