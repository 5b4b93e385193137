"""Asks the components of one host how they are: at modest rates, and at once when one changed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.checks import Check, checks_on
from edxconsole.cluster.model import Instance, State
from edxconsole.cluster.watcher import HostPort
from edxconsole.health.checks import run_check

SPREAD = (0.75, 1.25)
"""of HealthSpec.every: the pause is drawn anew each time so that hosts do not march"""
HURRY = 4.0
"""so many times sooner is one asked again that is not well"""
AT_ONCE, SLOW_AT_ONCE = 4, 2
"""checks in flight per host; beside them those that were slow the last time, which so hold up no others"""
SLOW = 1.5
"""seconds from which on an answer was slow"""
PUBLISHED = 0.06
"""seconds after which a change is in the snapshot"""
LOOK = 15.0
"""seconds after which it looks again what there is to ask, though nothing changed"""

Key = tuple[str, str]
"""component, and name of the check"""


@dataclass(slots=True)
class _Asked:
    check: Check
    shape: object
    due: float = 0.0
    slow: bool = False
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class HealthWatcher:
    """Runs the catalog's checks on the components seen on a host. Implements Watcher.

    Args:
        sites: names for which certificates are asked.
    """

    def __init__(self, catalog: Catalog, sites: Sequence[str] = (), rng: random.Random | None = None) -> None:
        self._catalog = catalog
        self._sites = tuple(sites)
        self._random = rng or random.Random()

    async def run(self, host: HostPort) -> None:
        checks: dict[Key, _Asked] = {}
        places = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(SLOW_AT_ONCE)
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

    def _renew(self, host: HostPort, checks: dict[Key, _Asked]) -> None:
        """Which checks there are; one whose component changed is due now."""
        wanted = dict(self._wanted(host))
        for key in [k for k in checks if k not in wanted]:
            gone = checks.pop(key)
            if gone.running is not None:
                gone.running.cancel()
        for key, (check, shape) in wanted.items():
            known = checks.get(key)
            if known is None:
                checks[key] = _Asked(check, shape)
            elif known.shape != shape:
                known.check, known.shape, known.due = check, shape, 0.0

    def _wanted(self, host: HostPort) -> Iterator[tuple[Key, tuple[Check, object]]]:
        """Never those on demand."""
        for instance in host.snapshot.instances:
            component = self._catalog.get(instance.component)
            if component is None:
                continue
            own = (instance.ports, _roots(host, instance))
            for check in checks_on(host.snapshot, component, instance):
                unit = check.unit
                shape = own if unit is None else (unit.identity, unit.address)
                if not check.spec.on_demand:
                    yield (component.id, check.name), (check, shape)

    def _start_due(
        self,
        host: HostPort,
        checks: dict[Key, _Asked],
        places: tuple[asyncio.Semaphore, asyncio.Semaphore],
        group: asyncio.TaskGroup,
        news: asyncio.Event,
    ) -> None:
        now = asyncio.get_running_loop().time()
        for key, asked in checks.items():
            if asked.due <= now and (asked.running is None or asked.running.done()):
                asked.due = now + self._random.uniform(*SPREAD) * asked.check.spec.every
                asked.running = group.create_task(self._ask(host, key[0], asked, places))
                asked.running.add_done_callback(lambda _: news.set())

    async def _ask(
        self,
        host: HostPort,
        component: str,
        asked: _Asked,
        places: tuple[asyncio.Semaphore, asyncio.Semaphore],
    ) -> None:
        check, clock = asked.check, asyncio.get_running_loop().time
        async with places[asked.slow]:
            began = clock()
            evidence = await run_check(host.transport, host.snapshot, component, check, self._sites)
            asked.slow = clock() - began > SLOW
        host.report_health(component, check.name, evidence)
        if evidence.state in (State.DOWN, State.DEGRADED):
            asked.due = clock() + self._random.uniform(*SPREAD) * check.spec.every / HURRY


async def _tell_changes(host: HostPort, news: asyncio.Event) -> None:
    """Sets `news` whenever a change of the host is in its snapshot: just after the next publication."""
    loop = asyncio.get_running_loop()
    while True:
        loop.call_later(PUBLISHED, news.set)
        await host.wait_change()


async def _next(checks: dict[Key, _Asked], news: asyncio.Event) -> None:
    """Wait for the next check that is due, for the end of one, or for a change of the host."""
    now = asyncio.get_running_loop().time()
    wait = min((c.due - now for c in checks.values() if c.due > now), default=LOOK)
    with suppress(TimeoutError):
        async with asyncio.timeout(min(wait, LOOK)):
            await news.wait()


def _roots(host: HostPort, instance: Instance) -> frozenset[tuple[int, int]]:
    """Its topmost processes, (pid, start): workers come and go, a new master is news."""
    own = set(instance.pids)
    found = (host.snapshot.processes.get(pid) for pid in instance.pids)
    return frozenset((p.pid, p.start) for p in found if p is not None and p.ppid not in own)
