"""One connection of a host from login to loss: the probe's frames, the watchers, the silence."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from edxconsole.cluster.model import HostSnapshot
from edxconsole.cluster.ports import Bell, ChunkRoutes, WatcherPort
from edxconsole.cluster.step import until_step
from edxconsole.cluster.store import Change, HostStore
from edxconsole.cluster.watcher import Watcher
from edxconsole.errors import CommandTimedOut, ConnectionLost, EdxconsoleError
from edxconsole.probe.channel import ProbeChannel
from edxconsole.probe.frames import Beat, LogChunk, Reply
from edxconsole.transport.base import Transport
from edxconsole.transport.ending import finish

STALE_AFTER = 2.5
"""seconds of silence; the probe beats once a second"""
LOST_AFTER = 7.0
"""seconds of silence after which the connection is given up"""
SLEPT = 1.0
"""a timer this late means that this machine slept, not that the host was silent"""
FIRST_ECHOES = 6
ECHO_EVERY = 10.0
WATCHER_RETRY = (2.0, 30.0)
CLOSE_TIMEOUT = 2.0
BURST = 64
"""frames taken in before other hosts get their turn"""


class Connection:
    """A logged-in transport with its probe running.

    Args:
        phase: when in each second the probe's samples shall arrive (see step.py).
        on_change: told what a frame or report changed.
        on_silence: told True when the host went stale, False when it speaks again.
        on_ready: told once, when there is enough to show.
    """

    def __init__(
        self,
        transport: Transport,
        probe: ProbeChannel,
        store: HostStore,
        *,
        phase: float,
        snapshot: Callable[[], HostSnapshot],
        on_change: Callable[[Change], None],
        on_silence: Callable[[bool], None],
        on_ready: Callable[[], None],
    ) -> None:
        self.transport = transport
        self.probe = probe
        self.store = store
        self.ports: dict[Watcher, WatcherPort] = {}
        self._phase = phase
        self._snapshot = snapshot
        self._on_change = on_change
        self._on_silence = on_silence
        self._on_ready = on_ready
        self._bell = Bell()
        self._routes = ChunkRoutes()
        self._heard = self._beaten = time.monotonic()
        self._stale = False
        self._ready = False
        self._watchers: dict[Watcher, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.logger = logging.getLogger(f"edxconsole.host.{store.name}")

    async def run(self, watchers: Sequence[Watcher]) -> EdxconsoleError:
        """Until the connection ends; returns why. Everything it started has ended by then."""
        work: list[Coroutine[Any, Any, EdxconsoleError]] = [
            self._pump(watchers),
            self._watch_silence(),
            self._watch_transport(),
        ]
        tasks = [asyncio.create_task(w) for w in work]
        clock = asyncio.create_task(self._keep_clock())
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(t for t in tasks if t in done).result()
        finally:
            everything = (*tasks, clock, *self._watchers.values(), *self._leaving)
            await finish(self._end(everything))

    def add_watcher(self, watcher: Watcher) -> None:
        """Let a watcher run from now on, for the life of this connection."""
        if self._ready and watcher not in self._watchers:
            self._watchers[watcher] = asyncio.create_task(self._watch(watcher))

    def drop_watcher(self, watcher: Watcher) -> None:
        """End a watcher; it may still tidy up for a moment."""
        task = self._watchers.pop(watcher, None)
        self.ports.pop(watcher, None)
        if task is not None:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _pump(self, watchers: Sequence[Watcher]) -> EdxconsoleError:
        count = 0
        try:
            async for frame in self.probe.frames():
                self._heard = time.monotonic()
                if self._stale:
                    self._stale = False
                    self._on_silence(False)
                if isinstance(frame, LogChunk):
                    self._routes.deliver(frame)
                elif not isinstance(frame, Reply):
                    self._changed(self.store.apply(frame, self._heard))
                if not self._ready and self.store.ready:
                    self._become_ready(watchers)
                if isinstance(frame, Beat):
                    self._beat()
                count += 1
                if count % BURST == 0:
                    await asyncio.sleep(0)
        except EdxconsoleError as error:
            return error
        return ConnectionLost("the probe ended", host=self.store.name)

    def _beat(self) -> None:
        self._beaten = self._heard
        if self.store.time_matters:
            self.store.recompute()
            self._on_change(Change.NOTHING)

    def _become_ready(self, watchers: Sequence[Watcher]) -> None:
        self._ready = True
        self._on_ready()
        for watcher in watchers:
            self.add_watcher(watcher)

    def _changed(self, change: Change) -> None:
        if change:
            self._on_change(change)
        if change & Change.SHAPE:
            self._bell.ring()

    async def _watch_silence(self) -> EdxconsoleError:
        while True:
            silence = time.monotonic() - self._heard
            if silence >= LOST_AFTER:
                return ConnectionLost(
                    f"nothing was heard for {LOST_AFTER:.0f} s", host=self.store.name,
                    remedy="it is tried again by itself",
                )  # fmt: skip
            if silence >= STALE_AFTER and not self._stale:
                self._stale = True
                self._on_silence(True)
            wait = (LOST_AFTER if self._stale else STALE_AFTER) - silence
            due = time.monotonic() + wait
            await asyncio.sleep(wait)
            if time.monotonic() - due > SLEPT:
                # What the host sent meanwhile waits in our socket: give it a moment to be read.
                self._heard = max(self._heard, time.monotonic() - STALE_AFTER + SLEPT)

    async def _watch_transport(self) -> EdxconsoleError:
        return ConnectionLost(await self.transport.wait_lost(), host=self.store.name)

    async def _keep_clock(self) -> None:
        with suppress(EdxconsoleError):
            while True:
                with suppress(CommandTimedOut):
                    echo = await self.probe.echo()
                    self.store.clock.add(rtt=echo.rtt, skew=echo.skew)
                    self._changed(self.store.clock_moved())
                    if self.store.clock.count >= FIRST_ECHOES:
                        await self._keep_step(echo.rtt)
                await asyncio.sleep(0.15 if self.store.clock.count < FIRST_ECHOES else ECHO_EVERY)

    async def _keep_step(self, rtt: float) -> None:
        wait = until_step(self._phase, beaten=self._beaten, now=time.monotonic(), journey=rtt / 2)
        if wait is not None and not self.probe.hello.shell:
            await asyncio.sleep(wait)
            await self.probe.pace(1.0)

    async def _watch(self, watcher: Watcher) -> None:
        pause, longest = WATCHER_RETRY
        source = f"watcher:{type(watcher).__name__}"
        while True:
            port = self.ports[watcher] = self._port()
            try:
                await watcher.run(port)
                port.reported = True
                return
            except EdxconsoleError as error:
                self.logger.info("%s ended: %s", type(watcher).__name__, error)
                port.report_note(source, str(error))
                port.reported = True
            except Exception:
                # A mistake of ours in one watcher must not take the host's connection with it.
                self.logger.exception("%s failed", type(watcher).__name__)
                port.report_note(source, f"{type(watcher).__name__} failed, see the log file")
                port.reported = True
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    def _port(self) -> WatcherPort:
        return WatcherPort(
            transport=self.transport,
            probe=self.probe,
            store=self.store,
            bell=self._bell,
            routes=self._routes,
            snapshot=self._snapshot,
            changed=self._changed,
        )

    async def _end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await close_quietly(self.probe.close(), self.logger)
        await close_quietly(self.transport.close(), self.logger)


async def close_quietly(closing: Coroutine[Any, Any, None], log: logging.Logger) -> None:
    """Close something on a host that may be frozen: bounded in time, failures only logged.

    A cancellation does not cut it short.
    """

    async def bounded() -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await closing
        except (TimeoutError, EdxconsoleError, OSError) as error:
            log.info("closing took too long or failed: %s", error or type(error).__name__)
        except Exception:
            # It would take the place of what ended the connection, even of our own end.
            log.exception("closing failed")

    await finish(bounded())
