"""`edxconsole` without a command: the console's whole life, from hosts.yaml to the terminal given back.

The only module of this package that knows of Textual; the command line imports it lazily.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from edxconsole.catalog.model import Catalog
from edxconsole.inventory.model import Inventory
from edxconsole.settings import Settings

_ENVIRONMENT = {"TEXTUAL_FPS": "120", "TEXTUAL_ANIMATIONS": "none", "ESCDELAY": "50"}
"""read by Textual when it is imported"""


def run_app(
    hosts: Path | None = None,
    *,
    catalog: Catalog | None = None,
    inventory: Inventory | None = None,
    settings: Settings | None = None,
) -> int:
    """Run the console until the operator leaves it; returns the exit status.

    Args:
        hosts: the inventory file; None looks in the usual places.
        catalog: what is looked for; None is the built-in one and hosts.yaml's additions.
        inventory: already loaded (the demo does).
        settings: the operator's preferences; None reads them.

    Raises:
        InventoryError, CatalogError, SettingsError: before the screen opens.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from edxconsole.engine import Engine, EngineThread
    from screens.bridge import Bridge
    from screens.console import EdxConsole
    from screens.prompting import ModalPrompter
    from widgets.clock import Clock
    from widgets.driver import PatientDriver

    settings = settings or _settings()
    catalog = catalog or _catalog()
    inventory = inventory or _inventory(hosts, catalog)
    prompter = ModalPrompter()
    known, found = inventory, catalog
    thread = EngineThread(lambda: Engine(known, found, prompter=prompter))
    bridge = Bridge(thread, inventory, catalog, Clock())
    app = EdxConsole(
        bridge,
        settings=settings,
        prompter=prompter,
        ascii_only="utf" not in (sys.stdout.encoding or "").lower(),
        tuned=True,
        driver_class=PatientDriver,
    )
    try:
        status = app.run()
    finally:
        bridge.close()
    return status if status is not None else app.return_code or 0


def _settings() -> Settings:
    from edxconsole.settings import load_settings

    return load_settings()


def _catalog() -> Catalog:
    from edxconsole.catalog.loader import load_catalog

    return load_catalog()


def _inventory(hosts: Path | None, catalog: Catalog) -> Inventory:
    from edxconsole.inventory.loader import find_inventory, load_inventory

    return load_inventory(find_inventory(hosts), catalog.components)
