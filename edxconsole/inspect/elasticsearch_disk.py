"""Elasticsearch's disk watermarks: what they are set to, and whether a node is beyond one.

Shares of the disk that are used ("85%", "0.85"), or what must be free ("500mb"). Defaults are those of the
manual: 85 % and 90 % since 1.3, the flood stage of 95 % since 6.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LOW, HIGH, FLOOD = "low", "high", "flood_stage"
DEFAULTS = {LOW: "85%", HIGH: "90%", FLOOD: "95%"}
FLOOD_SINCE = (6, 0)
PREFIX = "cluster.routing.allocation.disk.watermark."
MAX_DEPTH = 20
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s?([kmgtp]?)b", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True, slots=True)
class Disk:
    """A node's file systems together, in bytes."""

    total: int
    available: int

    @property
    def used_percent(self) -> float:
        return round(100 * (1 - self.available / self.total), 2) if self.total > 0 else 0.0


def watermarks(settings: object, version: tuple[int, ...]) -> dict[str, str]:
    """Watermark -> its setting, of GET /_cluster/settings: transient before persistent before defaults."""
    said: dict[str, str] = {}
    for layer in ("transient", "persistent", "defaults"):
        below = settings.get(layer) if isinstance(settings, Mapping) else None
        for key, value in flat(below):
            name = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and name in DEFAULTS:
                said.setdefault(name, value)
    known = {name: said.get(name, default) for name, default in DEFAULTS.items()}
    if version < FLOOD_SINCE:
        known.pop(FLOOD)
    return known


def flat(tree: object, before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(key.with.dots, text) of nested or flat settings."""
    if not isinstance(tree, Mapping) or depth > MAX_DEPTH:
        return
    for key, value in tree.items():
        name = f"{before}.{key}" if before else str(key)
        if isinstance(value, str):
            yield name[:300], value[:300]
        else:
            yield from flat(value, name[:300], depth + 1)


def beyond(disk: Disk, mark: str) -> bool | None:
    """Whether a disk is fuller than a watermark allows; None where the setting is not understood."""
    share = _share(mark)
    if share is not None:
        return disk.used_percent > share
    size = _SIZE.fullmatch(mark.strip())
    if size is None:
        return None
    return disk.available < float(size[1]) * float(1 << 10 * _POWERS[size[2].lower()])


def _share(mark: str) -> float | None:
    """Percent used."""
    text = mark.strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        return None
    value = value if text.endswith("%") else value * 100
    return value if math.isfinite(value) and 0 <= value <= 100 else None
