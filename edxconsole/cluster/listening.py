"""Who holds a component's port: itself, a stranger, or a survivor of an earlier run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edxconsole.catalog.model import Component, ListenerSpec
from edxconsole.cluster.model import Listener, Process
from edxconsole.cluster.units import Unit


def on_spec(spec: ListenerSpec, listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    """The listeners that are on this spec's port or socket."""
    if spec.unix is not None:
        return tuple(s for s in listeners if s.proto == "unix" and s.address == spec.unix)
    return tuple(s for s in listeners if s.proto != "unix" and s.port == spec.port)


def descends(pid: int, ancestor: int, processes: Mapping[int, Process]) -> bool:
    """Whether `pid` is `ancestor` or was started, however indirectly, by it."""
    for _ in range(64):
        if pid == ancestor:
            return True
        process = processes.get(pid)
        if process is None or process.ppid <= 0:
            return False
        pid = process.ppid
    return False


ANY_ADDRESS = frozenset({"0.0.0.0", "::", "*", ""})


def apart(listener: Listener, own: Iterable[Listener]) -> bool:
    """Whether it has the port at another address than `own` has it: then neither is in the other's way."""
    theirs = {one.address for one in own}
    return bool(theirs) and not (ANY_ADDRESS | theirs) & {listener.address} and not ANY_ADDRESS & theirs


def orphan(
    component: Component,
    unit: Unit,
    listeners: Iterable[Listener],
    processes: Mapping[int, Process],
    running: frozenset[int] = frozenset(),
) -> Listener | None:
    """A listener on the component's port that provably is not the unit's own.

    Under supervisor every process of a program descends from its pid. Other managers have
    members outside that tree (epmd of rabbitmq), so there only a foreign program counts.

    Args:
        running: pids that units of this host run as. Another child of supervisord than those is
            the unit's last run, which the process table still has for a moment.
    """
    if unit.identity.pid is not None and unit.identity.pid not in processes:
        return None  # just restarted: the process table is a moment behind the manager
    seen = tuple(listeners)
    for spec in component.listeners:
        held = [s for s in on_spec(spec, seen) if s.pid in processes and s.how == "owner"]
        own = [s for s in held if _own(component, unit, s, processes)]
        for listener in held:
            if listener in own or listener.pid is None or apart(listener, own):
                continue
            child = _child_of_supervisord(listener.pid, processes)
            if unit.kind == "supervisor" and child is not None and child not in running:
                continue
            return listener
    return None


def _child_of_supervisord(pid: int, processes: Mapping[int, Process]) -> int | None:
    """The process that supervisord started and `pid` is or descends from; None outside of its tree."""
    for _ in range(64):
        process = processes.get(pid)
        parent = processes.get(process.ppid) if process else None
        if parent is None:
            return None
        if any(word.endswith("supervisord") for word in parent.argv[:3]):
            return pid
        pid = parent.pid
    return None


def _own(component: Component, unit: Unit, listener: Listener, processes: Mapping[int, Process]) -> bool:
    assert listener.pid is not None
    if unit.identity.pid is not None and descends(listener.pid, unit.identity.pid, processes):
        return True
    return unit.kind != "supervisor" and listener.component == component.id


def missing(
    component: Component, listeners: Iterable[Listener], pids: frozenset[int]
) -> tuple[ListenerSpec, ...]:
    """Required sockets nobody listens on, unless its processes listen somewhere else instead."""
    seen = tuple(listeners)
    absent = tuple(s for s in component.listeners if s.required and not on_spec(s, seen))
    elsewhere = any(s.pid in pids for s in seen if s.pid is not None)
    return () if elsewhere and len(absent) == sum(s.required for s in component.listeners) else absent


def place(spec: ListenerSpec) -> str:
    """ "port 8000" or the socket's path."""
    return spec.unix if spec.unix is not None else f"port {spec.port}"
