"""Everything behind a screen or a command, headless: the one object `app` and `commands` hold.

The engine has an asyncio loop. Commands run it in their own loop (`async with Engine(...)`);
the console runs it in a thread of its own (`EngineThread`), reads `engine.snapshot` from any
thread and hands coroutines over with `EngineThread.submit`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.checks import Check
from edxconsole.cluster.cluster import Cluster
from edxconsole.cluster.model import ClusterSnapshot, Evidence
from edxconsole.cluster.prompting import TellingPrompter
from edxconsole.cluster.session import HostSession
from edxconsole.cluster.settling import settled
from edxconsole.cluster.watcher import Watcher
from edxconsole.engine_services import ManagerBook
from edxconsole.engine_thread import EngineThread
from edxconsole.health.asked import Asked
from edxconsole.health.checks import ask_check, check_component, checks_there
from edxconsole.health.watcher import HealthWatcher
from edxconsole.inspect.drift import Drift
from edxconsole.inspect.model import Inspection
from edxconsole.inventory.model import Host, Inventory
from edxconsole.logs.containers import followers
from edxconsole.logs.model import LogFeed, LogSource
from edxconsole.logs.sources import log_sources
from edxconsole.plans.model import Plan, PlanEvent, PlanState
from edxconsole.plans.service import PlanService
from edxconsole.services.base import Capabilities, ServiceManager, Verb
from edxconsole.services.registry import watchers_for
from edxconsole.settings import state_dir
from edxconsole.transport.base import Prompter, SilentPrompter, Transport
from edxconsole.transport.factory import ConnectionPool, make_transport

if TYPE_CHECKING:
    from edxconsole.discovery.model import Discovery

__all__ = ["Engine", "EngineThread"]

logging.getLogger("edxconsole").addHandler(logging.NullHandler())

_LIBRARY = {
    "asyncssh": "edxconsole.transport.asyncssh_transport",
    "paramiko": "edxconsole.transport.paramiko_transport",
    "local": "edxconsole.transport.local_transport",
}


class Engine:
    """A cluster being watched, its services, logs and plans.

    Args:
        inventory: which hosts.
        catalog: what is looked for on them.
        prompter: how secrets and unknown host keys are asked for.
        hosts: only these inventory names (default all).
        journal: where acts are recorded (default under the XDG state directory).
        read_only: never allow arming.
    """

    inventory: Inventory
    catalog: Catalog

    def __init__(
        self,
        inventory: Inventory,
        catalog: Catalog,
        *,
        prompter: Prompter | None = None,
        hosts: Sequence[str] | None = None,
        journal: Path | None = None,
        read_only: bool = False,
    ) -> None:
        self.inventory = inventory
        self.catalog = catalog
        self._managers = ManagerBook(catalog, inventory)
        self._pool: ConnectionPool | None = None
        self._cluster = Cluster(
            inventory, catalog, make=self._make_transport, watchers=self._watchers, hosts=hosts
        )
        self._prompter = TellingPrompter(prompter or SilentPrompter(), self._cluster.sessions)
        self._plans = PlanService(self, journal or state_dir(), read_only=read_only)

    async def __aenter__(self) -> Engine:
        """Start connecting to every host; returns at once."""
        self._pool = ConnectionPool(self.inventory, self._prompter)
        for kind in {session.host.transport for session in self._cluster.sessions.values()}:
            # An import reads files for up to half a second: not in the loop.
            await asyncio.to_thread(importlib.import_module, _LIBRARY[kind])
        self._cluster.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.disarm()
        async with contextlib.AsyncExitStack() as last_first:
            if self._pool is not None:
                last_first.push_async_callback(self._pool.close)
            last_first.push_async_callback(self._cluster.close)
            last_first.push_async_callback(self._managers.close)

    @property
    def snapshot(self) -> ClusterSnapshot:
        """The newest truth. Any thread; never blocks."""
        return self._cluster.snapshot

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` (engine thread, at most 20 a second) after changes; returns unsubscribe."""
        return self._cluster.subscribe(wake)

    async def wait_settled(self, timeout: float) -> ClusterSnapshot:
        """Until each host is live with services and health seen once, or has failed; then the truth."""
        return await settled(self._cluster, self.catalog, timeout)

    def session(self, host: str) -> HostSession:
        """The session of a host. Engine thread. Raises UsageError."""
        return self._cluster.session(host)

    def reconnect(self, host: str) -> None:
        """Try a host again now, also one that was REFUSED. Engine thread."""
        self.session(host).reconnect()

    def transport(self, host: str) -> Transport:
        """The live connection of a host. Raises ConnectionLost when there is none."""
        return self.session(host).transport

    def manager(self, host: str, manager: str) -> ServiceManager:
        """A service manager by Unit.manager id. Raises ServiceUnavailable."""
        return self._managers.manager(self.transport(host), self.snapshot.hosts[host], manager)

    async def capabilities(self, host: str) -> dict[str, Capabilities]:
        """Manager id -> what can be done there with this login."""
        return await self._managers.capabilities(self.transport(host), self.snapshot.hosts[host])

    async def check_health(self, host: str, component: str, *, container: str = "") -> tuple[Evidence, ...]:
        """Run now every health check of a component that an act must bring back; () when it has none.

        Args:
            container: only those in the container of this unit name.
        """
        seen = self.snapshot.hosts[host]
        return await check_component(
            self.transport(host),
            seen,
            self.catalog,
            component,
            container=container,
            sites=self.inventory.sites,
        )

    def health_checks(self, host: str, component: str) -> tuple[Check, ...]:
        """Every check of a component there, also those that cost; () when it has none. Any thread."""
        return checks_there(self.snapshot.hosts[host], self.catalog, component)

    async def ask_check(self, host: str, component: str, check: Check) -> Asked:
        """Ask one of `health_checks` now. Raises ConnectionLost; all else that goes wrong is its answer."""
        seen = self.snapshot.hosts[host]
        return await ask_check(self.transport(host), seen, component, check, self.inventory.sites)

    async def inspect(self, host: str, component: str) -> Inspection:
        """Open one component of a host up, as it is now. Changes nothing there.

        Raises UsageError when there is no inspector for it, ConnectionLost.
        """
        # Its imports would hold the loop for as long as a probe's answer takes.
        registry = await asyncio.to_thread(importlib.import_module, "edxconsole.inspect.registry")
        sudo = self.inventory.hosts[host].become == "sudo"
        seen = self.snapshot.hosts[host]
        found: Inspection = await registry.inspect_component(
            self.transport(host), seen, self.catalog, component, sudo=sudo
        )
        return found

    async def drift(self, roles: Mapping[str, Sequence[str]]) -> Drift:
        """What differs between the hosts of each component. Changes nothing there.

        Args:
            roles: component id -> hosts, as inspect.drift_run.roles_of() finds them.
        """
        from edxconsole.inspect.drift_run import find_drift

        sudo = frozenset(name for name, host in self.inventory.hosts.items() if host.become == "sudo")
        return await find_drift(roles, self.snapshot, self.catalog, self.transport, sudo=sudo)

    async def discover(self, timeout: float) -> Discovery:
        """What every host was installed by, what runs there, whom its files name, and where that disagrees.

        Changes nothing. Each host is looked at as soon as it is seen, apart from all others; one that is
        not live within `timeout` seconds is not reached.
        """
        # An import reads files for up to half a second: not in the loop.
        module = await asyncio.to_thread(importlib.import_module, "edxconsole.discovery.engine")
        found: Discovery = await module.discover(self._cluster, self.inventory, self.catalog, timeout)
        return found

    def log_sources(self, hosts: Iterable[str], components: Iterable[str] | None = None) -> list[LogSource]:
        """Catalog files, supervisor stdout/stderr files, output of containers there. No personal data."""
        return log_sources(self.catalog, self.snapshot, hosts, components)

    async def follow(
        self, sources: Sequence[LogSource], feed: LogFeed, *, last_lines: int = 100
    ) -> Callable[[], None]:
        """Feed the last lines and then what is appended, over reconnects; returns stop()."""
        by_host: dict[str, list[LogSource]] = {}
        for source in sources:
            by_host.setdefault(source.host, []).append(source)
        running = [
            (self.session(host), follower)
            for host, of_host in by_host.items()
            for follower in followers(of_host, feed, last_lines)
        ]
        for session, follower in running:
            session.add_watcher(follower)

        def stop() -> None:
            for session, follower in running:
                follower.stop()
                session.drop_watcher(follower)

        return stop

    # Changing hosts: everything goes through edxconsole.plans.

    def arm(self, seconds: float) -> None:
        """Allow acts for so long; visible in `armed_until`. Raises ReadOnly when this engine never may."""
        self._plans.arming.arm(seconds)

    def disarm(self) -> None:
        self._plans.arming.disarm()

    @property
    def armed_until(self) -> float | None:
        """time.monotonic() when arming ends; None when read-only."""
        return self._plans.arming.until

    async def draft(self, verb: Verb, selector: str, *, reason: str = "") -> Plan:
        """The plan for a verb on what a selector names, identities read now.

        Raises UsageError when it names nothing, ReadOnly never (drafting changes nothing).
        """
        return await self._plans.draft(verb, selector, reason=reason)

    async def run_plan(
        self, plan: Plan, *, confirmation: str, on_event: Callable[[PlanEvent], None]
    ) -> PlanState:
        """Run a confirmed plan to its end. `confirmation` must be plan.digest.

        Raises ReadOnly, NotConfirmed, IdentityDrift, PreflightFailed, LockHeld, ActFailed,
        GateFailed, JournalError; each is also an event and journaled.
        """
        return await self._plans.run(plan, confirmation=confirmation, on_event=on_event)

    def _make_transport(self, host: Host) -> Transport:
        assert self._pool is not None, "the engine was not entered"
        return make_transport(host, self.inventory, self._prompter, pool=self._pool)

    def _watchers(self, host: Host) -> list[Watcher]:
        return [*watchers_for(self.catalog, host.become), HealthWatcher(self.catalog, self.inventory.sites)]
