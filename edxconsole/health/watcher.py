"""Asks the components of one host how they are: at modest rates, and at once when one changed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from edxconsole.catalog.model import Catalog, HealthSpec
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import Instance, State
from edxconsole.cluster.units import UnitHealth
from edxconsole.cluster.watcher import HostPort
from edxconsole.health.checks import run_check

EVERY = (6.0, 10.0)
"""seconds between two asks of the same check, drawn anew each time so that hosts do not march"""
HURRY = 2.0
"""seconds until the next ask of one that is not up"""
DEARER = {"mysql": 3.0}
"""kinds that leave a trace at the service (Aborted_connects) are asked so many times less often"""
AT_ONCE = 4
"""checks in flight per host"""
PUBLISHED = 0.06
"""seconds after which a change is in the snapshot"""
LOOK = 15.0
"""seconds after which it looks again what there is to ask, though nothing changed"""

Key = tuple[str, str]


@dataclass(slots=True)
class _Check:
    spec: HealthSpec
    shape: object
    due: float = 0.0
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class HealthWatcher:
    """Runs the catalog's checks on the components seen on a host. Implements Watcher."""

    def __init__(self, catalog: Catalog, rng: random.Random | None = None) -> None:
        self._catalog = catalog
        self._random = rng or random.Random()

    async def run(self, host: HostPort) -> None:
        checks: dict[Key, _Check] = {}
        places = asyncio.Semaphore(AT_ONCE)
        news = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_tell_changes(host, news))
                while True:
                    self._renew(host, checks)
                    self._start_due(host, checks, places, group, news)
                    await _next(checks, news)
                    news.clear()
        except* Exception as failures:  # noqa: BLE001 - raised again, without its group
            # One failure is what the session expects to hear; the others died of the same.
            raise failures.exceptions[0] from None

    def _renew(self, host: HostPort, checks: dict[Key, _Check]) -> None:
        """Which checks there are; one whose component changed is due now."""
        wanted = dict(self._wanted(host))
        for key in [k for k in checks if k not in wanted]:
            gone = checks.pop(key)
            if gone.running is not None:
                gone.running.cancel()
        for key, (spec, shape) in wanted.items():
            known = checks.get(key)
            if known is None:
                checks[key] = _Check(spec, shape)
            elif known.shape != shape:
                known.shape, known.due = shape, 0.0

    def _wanted(self, host: HostPort) -> Iterator[tuple[Key, tuple[HealthSpec, object]]]:
        for instance in host.snapshot.instances:
            component = self._catalog.get(instance.component)
            if component is None or not _alive(host, instance) or contained(host.snapshot, instance):
                continue
            shape = (instance.ports, _roots(host, instance))
            for spec in component.health:
                yield (component.id, spec.name), (spec, shape)

    def _start_due(
        self,
        host: HostPort,
        checks: dict[Key, _Check],
        places: asyncio.Semaphore,
        group: asyncio.TaskGroup,
        news: asyncio.Event,
    ) -> None:
        now = asyncio.get_running_loop().time()
        for key, check in checks.items():
            if check.due <= now and (check.running is None or check.running.done()):
                check.due = now + self._random.uniform(*EVERY) * DEARER.get(check.spec.kind, 1.0)
                check.running = group.create_task(self._ask(host, key[0], check, places))
                check.running.add_done_callback(lambda _: news.set())

    async def _ask(self, host: HostPort, component: str, check: _Check, places: asyncio.Semaphore) -> None:
        async with places:
            evidence = await run_check(host.transport, host.snapshot, component, check.spec)
        host.report_health(component, check.spec.name, evidence)
        if evidence.state is not State.UP:
            check.due = asyncio.get_running_loop().time() + self._random.uniform(0.7, 1.3) * HURRY


async def _tell_changes(host: HostPort, news: asyncio.Event) -> None:
    """Sets `news` whenever a change of the host is in its snapshot: just after the next publication."""
    loop = asyncio.get_running_loop()
    while True:
        loop.call_later(PUBLISHED, news.set)
        await host.wait_change()


async def _next(checks: dict[Key, _Check], news: asyncio.Event) -> None:
    """Wait for the next check that is due, for the end of one, or for a change of the host."""
    now = asyncio.get_running_loop().time()
    wait = min((c.due - now for c in checks.values() if c.due > now), default=LOOK)
    with suppress(TimeoutError):
        async with asyncio.timeout(min(wait, LOOK)):
            await news.wait()


def _alive(host: HostPort, instance: Instance) -> bool:
    """Whether there is something to ask: a process, or a unit whose processes are hidden from us."""
    units = (host.snapshot.units.get(key) for key in instance.units)
    return bool(instance.pids) or any(u is not None and u.health is UnitHealth.RUNNING for u in units)


def _roots(host: HostPort, instance: Instance) -> frozenset[tuple[int, int]]:
    """Its topmost processes, (pid, start): workers come and go, a new master is news."""
    own = set(instance.pids)
    found = (host.snapshot.processes.get(pid) for pid in instance.pids)
    return frozenset((p.pid, p.start) for p in found if p is not None and p.ppid not in own)
