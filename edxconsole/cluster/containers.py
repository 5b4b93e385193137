"""Which instances live in containers only: the host's ports and files say nothing of them. Pure."""

from __future__ import annotations

from edxconsole.cluster.model import HostSnapshot, Instance
from edxconsole.cluster.units import CONTAINERS


def contained(host: HostSnapshot, instance: Instance) -> bool:
    """Whether every unit of it is a container, and none of its processes is the host's own."""
    units = [host.units.get(key) for key in instance.units]
    if not units or any(unit is None or unit.kind != CONTAINERS for unit in units):
        return False
    processes = (host.processes.get(pid) for pid in instance.pids)
    return all(process.contained for process in processes if process is not None)
