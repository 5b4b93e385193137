"""systemd's Manager over D-Bus: read units, hear of changes. Changes nothing."""

from __future__ import annotations

import asyncio

from edxconsole.errors import ServiceFault, ServiceUnavailable, UnitUnknown
from edxconsole.services.dbus import Address, DBus
from edxconsole.services.systemd_units import SERVICE_PROPERTIES, UNIT_PROPERTIES

NAME = "org.freedesktop.systemd1"
MANAGER = Address("/org/freedesktop/systemd1", NAME, f"{NAME}.Manager")
PROPERTIES = "org.freedesktop.DBus.Properties"
UNITS = "/org/freedesktop/systemd1/unit"


async def subscribe(bus: DBus) -> None:
    """Ask systemd and the bus for the signals of all units and of the manager."""
    await bus.call(MANAGER, "Subscribe")
    await bus.match(f"type='signal',sender='{NAME}',interface='{PROPERTIES}',path_namespace='{UNITS}'")
    await bus.match(f"type='signal',sender='{NAME}',interface='{NAME}.Manager'")


async def loaded_units(bus: DBus) -> dict[str, str]:
    """Every loaded unit: name -> ActiveState."""
    (rows,) = await bus.call(MANAGER, "ListUnits")
    if not isinstance(rows, list):
        raise ServiceUnavailable("systemd listed its units in a way that is not understood")
    return {str(row[0]): str(row[3]) for row in rows}


async def read_unit(bus: DBus, name: str) -> dict[str, str]:
    """A unit's properties in the form of `systemctl show`. Raises UnitUnknown, as DBus.call.

    LoadUnit, as systemctl itself uses it to show a unit that is stopped: the Unit object of a
    stopped service may not be in memory.
    """
    (path,) = await bus.call(MANAGER, "LoadUnit", "s", name)
    address = Address(str(path), NAME, PROPERTIES)
    if await _get(bus, address, "Unit", "LoadState") == "not-found":
        raise UnitUnknown(f"systemd knows no unit {name!r}")
    unit = await asyncio.gather(*(_get(bus, address, "Unit", key) for key in UNIT_PROPERTIES))
    properties = dict(zip(UNIT_PROPERTIES, unit, strict=True))
    if name.endswith(".service"):
        service = await asyncio.gather(*(_get(bus, address, "Service", key) for key in SERVICE_PROPERTIES))
        properties |= dict(zip(SERVICE_PROPERTIES, service, strict=True))
    return properties


async def _get(bus: DBus, address: Address, interface: str, key: str) -> str:
    """One property as text, "" where this systemd does not know it yet (NRestarts before 235)."""
    try:
        (variant,) = await bus.call(address, "Get", "ss", f"{NAME}.{interface}", key)
    except ServiceFault:
        return ""
    value = variant[1] if isinstance(variant, tuple) and len(variant) == 2 else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return " ".join(value) if value and isinstance(value[0], str) else bytes(value).hex()
    return str(value)
