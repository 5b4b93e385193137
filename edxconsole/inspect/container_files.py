"""Which files a container's programs are told to read, and where the host has them, as Docker tells. Pure.

Of its environment, which holds passwords, only the variables that name files are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edxconsole.services.docker_units import Json, as_map, number, stamp, text

NAMES = frozenset({"LMS_CFG", "CMS_CFG", "STUDIO_CFG", "SERVICE_VARIANT", "DJANGO_SETTINGS_MODULE"})
_MAX_VARIABLES = 500
_MAX_MOUNTS = 100
_LONGEST = 500
"""characters of a path or of a variable's value"""


@dataclass(frozen=True, slots=True)
class Inside:
    """One container: GET /containers/ID/json, as far as it tells which files are read in it."""

    service: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """those of NAMES that it has, its image's among them"""
    mounts: Mapping[str, str] = field(default_factory=dict)
    """place in the container -> file or directory of the host; "" where it is none of the host's"""
    directory: str = ""
    """in which its programs are started"""
    pid: int | None = None
    """of its first process, as the host counts; None: it does not run"""
    started_at: float | None = None
    """epoch s, host clock"""

    def on_host(self, path: str) -> str | None:
        """Where the host has a file of the container; None where it is in its image, or the path is none."""
        if not is_path(path):
            return None
        for place in sorted(self.mounts, key=len, reverse=True):
            if path == place or path.startswith(f"{place}/"):
                source = self.mounts[place]
                return f"{source}{path[len(place) :]}" if source else None
        return None


def inside_of(told: Json, service: str) -> Inside:
    """What makes no sense is left out. Raises nothing."""
    config, state = as_map(told.get("Config")), as_map(told.get("State"))
    pid, started = number(state, "Pid"), stamp(text(state, "StartedAt"))
    directory = text(config, "WorkingDir").rstrip("/")
    return Inside(
        service,
        _variables(config.get("Env")),
        _mounts(told.get("Mounts")),
        directory if is_path(directory) else "",
        pid if pid > 0 else None,
        started / 1e9 if started and pid > 0 else None,
    )


def is_path(said: str) -> bool:
    """Whether it is an absolute path that leads nowhere but down."""
    plain = said.isprintable() and 1 < len(said) <= _LONGEST
    return plain and said.startswith("/") and ".." not in said.split("/")


def _variables(said: object) -> dict[str, str]:
    entries = said[:_MAX_VARIABLES] if isinstance(said, list) else []
    pairs = (entry.partition("=") for entry in entries if isinstance(entry, str))
    return {name: value for name, _, value in pairs if name in NAMES and len(value) <= _LONGEST}


def _mounts(said: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in said[:_MAX_MOUNTS] if isinstance(said, list) else []:
        place, source = (text(as_map(entry), key).rstrip("/") for key in ("Destination", "Source"))
        if is_path(place):
            found[place] = source if is_path(source) else ""
    return found
