"""How something on screen is named for an action: by the same selectors the command line takes."""

from __future__ import annotations

import re

from edxconsole.cluster.units import Unit
from screens.place import Target

_ODD = re.compile(r"[^A-Za-z0-9._/+-]")


def component_target(component: str, title: str, host: str) -> Target:
    """A component on a host: "lms@app1"."""
    return Target(f"{component}@{host}", f"{title} on {host}", host, component)


def unit_target(unit: Unit, component: str, host: str) -> Target:
    """One unit: "edxapp_worker:lms_default_1@app1". What a selector can't hold becomes "?".

    The plan shows, before anything happens, exactly which units were meant.
    """
    short = _ODD.sub("?", unit.name.rpartition(":")[2])
    selector = f"{component or short}:{short}@{host}"
    return Target(selector, f"{unit.name} on {host}", host, component, unit.name)
