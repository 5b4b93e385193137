"""What systemd tells of a unit, and what it means. Pure: properties in, Unit out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.numerals import natural

MANAGER = "systemd"

UNIT_PROPERTIES = (
    "Id",
    "Names",
    "LoadState",
    "ActiveState",
    "SubState",
    "InvocationID",
    "StateChangeTimestamp",
    "NeedDaemonReload",
    "CanReload",
)
SERVICE_PROPERTIES = (
    "MainPID",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "ExecMainStartTimestampMonotonic",
    "KillMode",
)

Properties = Mapping[str, str]
"""as `systemctl show` prints them: yes/no, decimal numbers, hexadecimal InvocationID"""

_HEALTH = {
    "active": UnitHealth.RUNNING,
    "reloading": UnitHealth.RUNNING,
    "refreshing": UnitHealth.RUNNING,
    "activating": UnitHealth.STARTING,
    "deactivating": UnitHealth.STOPPING,
    "inactive": UnitHealth.STOPPED,
    "failed": UnitHealth.FAILED,
}


def known(properties: Properties) -> bool:
    """Whether there is such a unit at all."""
    return properties.get("LoadState", "not-found") != "not-found"


def to_unit(name: str, properties: Properties) -> Unit:
    """A Unit from its properties, under its Id whatever alias it was asked by.

    Identity is the InvocationID with MainPID and its start (us since boot): it changes with
    every start, also where there is no main process.
    """
    active, sub = properties.get("ActiveState", ""), properties.get("SubState", "")
    health = _HEALTH.get(active, UnitHealth.UNKNOWN)
    if active == "active" and sub == "exited":
        health = UnitHealth.EXITED
    if sub == "auto-restart":
        health = UnitHealth.FAILED
    main = properties.get("Id") or name
    return Unit(
        manager=MANAGER,
        name=main,
        word=clean_line(f"{active} ({sub})" if sub else active, 40),
        health=health,
        identity=_identity(properties, running=active not in ("inactive", "failed")),
        since=_since(properties.get("StateChangeTimestamp", "")),
        detail=_detail(properties, failed=health is UnitHealth.FAILED),
        aliases=tuple(sorted({name, *properties.get("Names", "").split()} - {main})),
    )


def once(units: Iterable[Unit]) -> dict[str, Unit]:
    """Units by name, each once with every alias that was heard of."""
    found: dict[str, Unit] = {}
    for unit in units:
        known = found.get(unit.name)
        aliases = sorted({*unit.aliases, *(known.aliases if known else ())})
        found[unit.name] = replace(unit, aliases=tuple(aliases))
    return found


def _identity(properties: Properties, *, running: bool) -> Identity:
    if not running:
        return Identity()
    pid = _number(properties.get("MainPID", "0"))
    return Identity(
        pid=pid or None,
        start=_number(properties.get("ExecMainStartTimestampMonotonic", "0")) if pid else None,
        invocation=properties.get("InvocationID") or None,
    )


def _since(stamp: str) -> float | None:
    """Microseconds since 1970 (D-Bus) or `@seconds` (systemctl --timestamp=unix)."""
    if stamp.startswith("@"):
        return float(_number(stamp[1:])) or None
    micros = _number(stamp)
    return micros / 1e6 if micros else None


def _detail(properties: Properties, *, failed: bool) -> str:
    parts = []
    if failed:
        result, status = properties.get("Result", ""), properties.get("ExecMainStatus", "0")
        parts.append(f"{result}, exit status {status}" if result not in ("", "success") else "failed")
    if _number(properties.get("NRestarts", "0")):
        parts.append(f"{properties['NRestarts']} automatic restarts")
    if properties.get("NeedDaemonReload") == "yes":
        parts.append("its unit file changed: systemctl daemon-reload first")
    return clean_line(", ".join(parts))


def _number(text: str) -> int:
    return natural(text) or 0


def parse_show(text: str) -> dict[str, dict[str, str]]:
    """`systemctl show` of several units: blocks split by a blank line, in any order of properties."""
    found: dict[str, dict[str, str]] = {}
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        properties = {name: value for name, _, value in pairs}
        if "Id" in properties:
            found[properties["Id"]] = properties
    return found


def wanted(name: str, active: str, patterns: tuple[str, ...]) -> bool:
    """Whether a unit is of interest: a component's, or a service that failed."""
    if any(fnmatchcase(name, pattern) for pattern in patterns):
        return True
    return active == "failed" and name.endswith(".service")


def unescape_path(path: str) -> str:
    """The unit name in an object path: `/org/freedesktop/systemd1/unit/nginx_2eservice`."""
    label = path.rpartition("/")[2]
    first, *rest = label.split("_")
    try:
        parts = (chr(int(part[:2], 16)) + part[2:] for part in rest)
        return first + "".join(parts)
    except ValueError:
        return label
