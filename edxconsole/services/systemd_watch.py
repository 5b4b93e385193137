"""Watches systemd's units: by D-Bus signals (a killed service is seen in milliseconds), else by hints."""

from __future__ import annotations

import asyncio
import time

from edxconsole.cluster.units import Unit
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import ServiceUnavailable, StreamRefused
from edxconsole.services.dbus import BUS, SYSTEM_BUS, DBus, Signal
from edxconsole.services.hints import Hints
from edxconsole.services.systemd_bus import subscribe
from edxconsole.services.systemd_reader import is_pattern, read_one, read_wanted, show_wanted
from edxconsole.services.systemd_units import MANAGER, once, unescape_path, wanted
from edxconsole.transport.base import UnixEndpoint

BURST = 0.03
"""seconds in which the signals of one change arrive together"""
PULSE = 10.0
"""seconds without a signal after which the bus is asked whether it is there"""
SHOW_EVERY = 10.0


class SystemdWatcher:
    """Reports the units that patterns name, and services that failed. Implements Watcher.

    Args:
        patterns: shell-style, whole unit names, e.g. "nginx.service".
        socket: of the system bus.
    """

    def __init__(self, patterns: tuple[str, ...], socket: UnixEndpoint = SYSTEM_BUS) -> None:
        self._patterns = patterns
        self._socket = socket

    async def run(self, host: HostPort) -> None:
        try:
            bus = await DBus.connect(host.transport, self._socket)
        except (StreamRefused, ServiceUnavailable) as error:
            host.report_note(MANAGER, _note(error))
            await self._by_hints(host)
            return
        host.report_note(MANAGER, None)
        async with bus:
            await subscribe(bus)
            await _Watch(bus, self._patterns).run(host)

    async def _by_hints(self, host: HostPort) -> None:
        """`systemctl show` now, and after daemons changed, at most each SHOW_EVERY seconds."""
        hints = Hints(host)
        units = await show_wanted(host.transport, self._patterns)
        while True:
            _report(host, units)
            if await hints.changed(within=PULSE):
                await asyncio.sleep(SHOW_EVERY)
                units = await show_wanted(host.transport, self._patterns)


class _Watch:
    """The units of one host for as long as one D-Bus connection lasts."""

    def __init__(self, bus: DBus, patterns: tuple[str, ...]) -> None:
        self._bus = bus
        self._patterns = patterns
        self._units: dict[str, Unit] = {}
        self._absent: set[str] = set()

    async def run(self, host: HostPort) -> None:
        await self._read_all()
        while True:
            _report(host, self._units)
            while not await self._changed():
                pass

    async def _changed(self) -> bool:
        """Take in the next burst of signals; whether there is something to report.

        After a quiet PULSE what is known is as true as before, if only the bus still answers.
        """
        try:
            async with asyncio.timeout(PULSE):
                burst = [await self._bus.next_signal()]
        except TimeoutError:
            await self._bus.call(BUS, "GetId")
            return True
        await asyncio.sleep(BURST)
        burst += self._bus.waiting_signals()
        if self._bus.signals_lost or any(s.member == "Reloading" for s in burst):
            self._bus.signals_lost = False
            await self._read_all()
            return True
        return await self._read_again(
            {name for s in burst if (name := _unit_of(s)) and self._matters(name, s)}
        )

    def _matters(self, name: str, signal: Signal) -> bool:
        # To read a unit that is stopped or absent loads it and lets it go, which is announced as
        # well: these two say nothing of a unit that was read. (A new unit file comes with Reloading.)
        if signal.member in ("UnitNew", "UnitRemoved"):
            known = name in self._names() or name in self._absent
            return not known and wanted(name, "", self._patterns)
        return name in self._units or wanted(name, _active_state(signal), self._patterns)

    async def _read_all(self) -> None:
        self._units = await read_wanted(self._bus, self._patterns)
        self._absent = {p for p in self._patterns if not is_pattern(p)} - self._names()

    def _names(self) -> set[str]:
        """By which the units go that are there."""
        return {name for unit in self._units.values() for name in (unit.name, *unit.aliases)}

    async def _read_again(self, names: set[str]) -> bool:
        before = dict(self._units)
        found = await asyncio.gather(*(read_one(self._bus, name) for name in names))
        for name, unit in zip(names, found, strict=True):
            if unit is None:
                self._units.pop(name, None)
                self._absent.add(name)
            else:
                before_it = [self._units[unit.name]] if unit.name in self._units else []
                self._units |= once([*before_it, unit])
                self._absent -= {name, unit.name}
        return self._units != before


def _report(host: HostPort, units: dict[str, Unit]) -> None:
    at = time.time() + (host.snapshot.skew or 0.0)
    host.report_units(MANAGER, units.values(), at=at)


def _unit_of(signal: Signal) -> str:
    """The unit a signal is about, "" when it is about none."""
    if signal.member == "PropertiesChanged":
        return unescape_path(signal.path)
    if signal.member in ("UnitNew", "UnitRemoved"):
        return str(signal.body[0]) if signal.body else ""
    if signal.member == "JobRemoved":
        return str(signal.body[2]) if len(signal.body) > 2 else ""
    return ""


def _active_state(signal: Signal) -> str:
    changed = signal.body[1] if len(signal.body) > 1 else None
    value = changed.get("ActiveState") if isinstance(changed, dict) else None
    return str(value[1]) if isinstance(value, tuple) and len(value) == 2 else ""


def _note(error: StreamRefused | ServiceUnavailable) -> str:
    remedy = f"; {error.remedy}" if error.remedy else ""
    return (
        f"systemd is read by systemctl show after changes, at most each {SHOW_EVERY:g} s,"
        f" because its D-Bus can't be reached ({error.cause}){remedy}."
    )
