"""One module per promise. Each has `measure(stage) -> Iterator[Row]`, and says in `HOW` how it measures."""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = (
    "cold_start",
    "change_latency",
    "link_loss",
    "discovery",
    "probe_cost",
    "health_cost",
    "console_idle",
    "first_frame",
    "demo_start",
    "ui_stall",
    "key_latency",
)
"""modules of this package, in the order of the table; a new measure is one line here"""

MEASURES: dict[str, ModuleType] = {name: importlib.import_module(f"{__name__}.{name}") for name in NAMES}
