"""Reads units of systemd: by D-Bus where it can be reached, else by one `systemctl show`."""

from __future__ import annotations

import asyncio

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit
from edxconsole.errors import ServiceUnavailable, StreamRefused, UnitUnknown
from edxconsole.services.dbus import SYSTEM_BUS, DBus
from edxconsole.services.systemd_bus import loaded_units, read_unit
from edxconsole.services.systemd_units import (
    SERVICE_PROPERTIES,
    UNIT_PROPERTIES,
    Properties,
    known,
    once,
    parse_show,
    to_unit,
    wanted,
)
from edxconsole.transport.base import Transport, UnixEndpoint

SHOW_TIMEOUT = 10.0
SHOW = ("systemctl", "show", "--property=" + ",".join((*UNIT_PROPERTIES, *SERVICE_PROPERTIES)), "--")


def is_pattern(name: str) -> bool:
    return any(c in name for c in "*?[")


async def read_wanted(bus: DBus, patterns: tuple[str, ...]) -> dict[str, Unit]:
    """Units the patterns name, loaded or not, and services that failed."""
    names = {name for name, active in (await loaded_units(bus)).items() if wanted(name, active, patterns)}
    names |= {pattern for pattern in patterns if not is_pattern(pattern)}
    found = await asyncio.gather(*(read_one(bus, name) for name in sorted(names)))
    return once(unit for unit in found if unit is not None)


async def read_one(bus: DBus, name: str) -> Unit | None:
    """A unit, None when there is none of that name."""
    try:
        return to_unit(name, await read_unit(bus, name))
    except UnitUnknown:
        return None


async def show_wanted(transport: Transport, patterns: tuple[str, ...]) -> dict[str, Unit]:
    """The same by one command on the host. Raises ServiceUnavailable."""
    found = await _show(transport, patterns)
    return once(to_unit(name, p) for name, p in found.items() if known(p))


async def _show(transport: Transport, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    result = await transport.run([*SHOW, *names], timeout=SHOW_TIMEOUT)
    if not result.ok:
        said = clean_line(result.stderr.decode("utf-8", "replace")) or f"exit status {result.exit_status}"
        raise ServiceUnavailable(f"systemctl show failed ({said})", host=transport.host_name)
    return parse_show(result.text)


class SystemdReader:
    """Reads when asked, on a D-Bus connection that stays open until close()."""

    def __init__(self, transport: Transport, socket: UnixEndpoint = SYSTEM_BUS) -> None:
        self.route = ""
        self._transport = transport
        self._socket = socket
        self._bus: DBus | None = None

    async def properties(self, name: str) -> Properties:
        """A unit's properties. Raises UnitUnknown, ServiceUnavailable."""
        bus = await self._connected()
        if bus is not None:
            return await read_unit(bus, name)
        found = await _show(self._transport, (name,))
        properties = found.get(name) or next(iter(found.values()), {})
        if not known(properties):
            raise UnitUnknown(f"systemd knows no unit {name!r}", host=self._transport.host_name)
        return properties

    async def units(self, patterns: tuple[str, ...]) -> dict[str, Unit]:
        """As read_wanted."""
        bus = await self._connected()
        return await (read_wanted(bus, patterns) if bus else show_wanted(self._transport, patterns))

    async def version(self) -> str:
        """systemd's own, "" when it can't be told."""
        result = await self._transport.run(["systemctl", "--version"], timeout=SHOW_TIMEOUT)
        words = result.text.split()
        return clean_line(words[1], 20) if len(words) > 1 else ""

    async def close(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            await bus.close()

    async def _connected(self) -> DBus | None:
        """The open bus, a new one when it ended; None when it can't be reached."""
        if self._bus is not None and self._bus.alive:
            return self._bus
        await self.close()
        try:
            self._bus = await DBus.connect(self._transport, self._socket)
        except (StreamRefused, ServiceUnavailable):
            self.route = "systemctl show"
            return None
        self.route = f"D-Bus ({self._bus.rung})"
        return self._bus
