"""Watches systemd's units: by D-Bus signals (a killed service is seen in milliseconds), else by hints."""

from __future__ import annotations

import asyncio
import time

from edxconsole.cluster.units import Unit
from edxconsole.cluster.watcher import HostPort
from edxconsole.errors import ServiceUnavailable, StreamRefused
from edxconsole.services.dbus import BUS, SYSTEM_BUS, DBus, Signal
from edxconsole.services.systemd_bus import subscribe
from edxconsole.services.systemd_reader import read_one, read_wanted, show_wanted
from edxconsole.services.systemd_units import MANAGER, unescape_path, wanted
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
            await self._by_signals(host, bus)

    async def _by_signals(self, host: HostPort, bus: DBus) -> None:
        await subscribe(bus)
        units = await read_wanted(bus, self._patterns)
        _report(host, units)
        while True:
            changed = await self._changed(bus, units)
            if changed is None:
                units = await read_wanted(bus, self._patterns)
            else:
                await self._reread(bus, units, changed)
            _report(host, units)

    async def _changed(self, bus: DBus, units: dict[str, Unit]) -> set[str] | None:
        """Names to read again after the next burst of signals; none after a quiet PULSE; None for all."""
        try:
            async with asyncio.timeout(PULSE):
                burst = [await bus.next_signal()]
        except TimeoutError:
            await bus.call(BUS, "GetId")
            return set()
        await asyncio.sleep(BURST)
        burst += bus.waiting_signals()
        if bus.signals_lost or any(s.member == "Reloading" for s in burst):
            bus.signals_lost = False
            return None
        names = {name for s in burst if (name := _unit_of(s)) and self._matters(name, s, units)}
        return names or await self._changed(bus, units)

    def _matters(self, name: str, signal: Signal, units: dict[str, Unit]) -> bool:
        # Reading a stopped unit loads it and lets it go again, which is announced as well:
        # those two say nothing of a unit that is known.
        if signal.member in ("UnitNew", "UnitRemoved"):
            return name not in units and wanted(name, "", self._patterns)
        return name in units or wanted(name, _active_state(signal), self._patterns)

    async def _reread(self, bus: DBus, units: dict[str, Unit], names: set[str]) -> None:
        for name, unit in zip(names, await asyncio.gather(*(read_one(bus, n) for n in names)), strict=True):
            if unit is None:
                units.pop(name, None)
            else:
                units[name] = unit

    async def _by_hints(self, host: HostPort) -> None:
        """`systemctl show` now, and after processes changed, at most each SHOW_EVERY seconds."""
        while True:
            _report(host, await show_wanted(host.transport, self._patterns))
            await asyncio.sleep(SHOW_EVERY)
            await host.wait_change()


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
