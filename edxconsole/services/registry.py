"""Which service managers a host has, and who watches them: what the engine asks for."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import HostSnapshot
from edxconsole.cluster.watcher import HostPort, Watcher
from edxconsole.services.base import ServiceManager
from edxconsole.services.docker import DockerManager
from edxconsole.services.docker_units import MANAGER as DOCKER
from edxconsole.services.docker_watch import DockerWatcher, docker_socket
from edxconsole.services.supervisor import SupervisorManager, SupervisorPlace
from edxconsole.services.systemd import SystemdManager
from edxconsole.services.systemd_units import MANAGER as SYSTEMD
from edxconsole.services.systemd_watch import SystemdWatcher
from edxconsole.services.sysv import SysvManager, SysvWatcher
from edxconsole.transport.base import Transport

SYSTEMD_RUNS = ("test", "-d", "/run/systemd/system")
"""sd_booted(3)"""


def systemd_patterns(catalog: Catalog) -> tuple[str, ...]:
    """Every unit name pattern the catalog knows, once."""
    return _unique(p for c in catalog.components.values() for p in c.managers.systemd)


def sysv_patterns(catalog: Catalog) -> tuple[str, ...]:
    """Every init script name pattern the catalog knows, once."""
    return _unique(p for c in catalog.components.values() for p in c.managers.sysv)


def managers_for(
    snapshot: HostSnapshot, transport: Transport, catalog: Catalog, *, become: str | None = None
) -> dict[str, ServiceManager]:
    """Manager id -> manager, as the snapshot tells: every supervisord seen, Docker, the init system.

    Nothing is connected yet and nothing here blocks. Make them anew when the connection or
    `managed_by` changed; close() the old ones. `become` as hosts.yaml says.
    """
    found: dict[str, ServiceManager] = {
        info.id: SupervisorManager(transport, SupervisorPlace.of(info)) for info in snapshot.supervisors
    }
    socket = docker_socket(snapshot)
    if socket is not None:
        found[DOCKER] = DockerManager(transport, catalog, socket)
    init = _init(snapshot, transport, catalog, become)
    found[init.id] = init
    return found


def managed_by(snapshot: HostSnapshot) -> object:
    """What tells one set of managers from the next; compares equal while they stay the same."""
    return tuple((s.id, s.endpoint, s.identity) for s in snapshot.supervisors), docker_socket(snapshot)


def watchers_for(catalog: Catalog, become: str | None = None) -> list[Watcher]:
    """The watchers every host session runs; each finds out by itself what its host has."""
    return [InitWatcher(systemd_patterns(catalog), sysv_patterns(catalog), become), DockerWatcher()]


class InitWatcher:
    """Watches systemd where it runs as process 1, else SysV init scripts. Implements Watcher."""

    def __init__(self, systemd: tuple[str, ...], sysv: tuple[str, ...], become: str | None = None) -> None:
        self._systemd = systemd
        self._become = become
        self._sysv = sysv

    async def run(self, host: HostPort) -> None:
        booted = await host.transport.run(SYSTEMD_RUNS, timeout=5.0)
        watcher: Watcher = (
            SystemdWatcher(self._systemd) if booted.ok else SysvWatcher(self._sysv, self._become)
        )
        await watcher.run(host)


def _init(
    snapshot: HostSnapshot, transport: Transport, catalog: Catalog, become: str | None
) -> ServiceManager:
    if _has_systemd(snapshot):
        return SystemdManager(transport, systemd_patterns(catalog), login=snapshot.user)
    return SysvManager(transport, sysv_patterns(catalog), login=snapshot.user, become=become)


def _has_systemd(snapshot: HostSnapshot) -> bool:
    first = snapshot.processes.get(1)
    if first is not None:
        return first.comm == "systemd"
    return any(unit.manager == SYSTEMD for unit in snapshot.units.values())


def _unique(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(patterns))
