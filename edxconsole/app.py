"""`edxconsole` without a command: the console's whole life, from hosts.yaml to the terminal given back.

The only module of this package that knows of Textual; the command line imports it lazily.
"""

from __future__ import annotations

import concurrent.futures
import gc
import os
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edxconsole.settings import load_settings
from edxconsole.signals import take_signals

if TYPE_CHECKING:
    from edxconsole.catalog.model import Catalog
    from edxconsole.engine import Engine, EngineThread
    from edxconsole.inventory.model import Inventory
    from edxconsole.transport.base import Prompter

T = TypeVar("T")

_ENVIRONMENT = {"TEXTUAL_FPS": "120", "TEXTUAL_ANIMATIONS": "none", "ESCDELAY": "50"}
"""read by Textual when it is imported"""


def run_app(hosts: Path | None = None, *, read_only: bool = False) -> int:
    """Run the console until the operator leaves it; returns the exit status.

    Args:
        hosts: the inventory file; None looks in the usual places.
        read_only: this console can't be armed.

    Raises:
        InventoryError, CatalogError, SettingsError: before the screen opens.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    gc.disable()  # a tenth of the start; EdxConsole turns it on again once it is through
    from screens.bridge import Bridge
    from screens.console import EdxConsole
    from screens.prompter import ModalPrompter
    from widgets.clock import Clock
    from widgets.driver import PatientDriver

    settings = load_settings()
    inventory, catalog = _cluster(hosts)
    prompter = ModalPrompter()
    engine = LateEngine(inventory, prompter, catalog=catalog, read_only=read_only)
    bridge = Bridge(engine, inventory, Clock(), read_only=read_only, notice=demo_notice(inventory))
    app = EdxConsole(
        bridge,
        settings=settings,
        prompter=prompter,
        ascii_only="utf" not in (sys.stdout.encoding or "").lower(),
        tuned=True,
        driver_class=PatientDriver,
    )
    take_signals()
    try:
        status = app.run()
    finally:
        bridge.close()
    return status if status is not None else app.return_code or 0


class LateEngine:
    """An EngineThread whose engine is imported, in a thread, only when it is started.

    The engine and the SSH library cost as much to import as Textual: the first frame comes first.

    Args:
        inventory: whom to connect to.
        prompter: what the engine asks the operator with.
        catalog: what is looked for; None is the built-in one, read when the engine is imported.
        read_only: the engine can't be armed.
    """

    def __init__(
        self,
        inventory: Inventory,
        prompter: Prompter,
        *,
        catalog: Catalog | None = None,
        read_only: bool = False,
    ) -> None:
        self._make = (inventory, prompter, catalog)
        self._read_only = read_only
        self._thread: EngineThread | None = None
        self._failure: Exception | None = None
        self._importer = threading.Thread(target=self._import, name="engine-import", daemon=True)

    def _import(self) -> None:
        try:
            self._thread = self._started()
        except Exception as error:  # noqa: BLE001 - told by `engine`, in the thread that can say it
            self._failure = error

    def _started(self) -> EngineThread:
        from edxconsole.catalog.loader import load_catalog
        from edxconsole.engine import Engine, EngineThread

        inventory, prompter, given = self._make
        catalog = given or load_catalog()
        thread = EngineThread(
            lambda: Engine(inventory, catalog, prompter=prompter, read_only=self._read_only)
        )
        thread.start()
        return thread

    def start(self) -> None:
        """Returns at once."""
        self._importer.start()

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError until it is there, ImportError when it never will be."""
        if self._failure is not None:
            raise ImportError("the engine can't be started") from self._failure
        if self._thread is None:
            raise RuntimeError("the engine is still being imported")
        return self._thread.engine

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the engine's loop."""
        if self._thread is None:
            raise RuntimeError("the engine is still being imported")
        return self._thread.submit(work)

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection; also when it was left while it started."""
        if self._importer.ident is not None:
            self._importer.join(timeout)
        if self._thread is not None:
            self._thread.stop(timeout)


def demo_notice(inventory: Inventory) -> str:
    """What must be said of this cluster on every screen: of a demo, what is not real; "" otherwise."""
    if inventory.path is None or not (inventory.path.parent / "demo.json").is_file():
        return ""
    from edxconsole.demo.launch import notice

    return notice(inventory.path) or ""


def _cluster(hosts: Path | None) -> tuple[Inventory, Catalog | None]:
    """The inventory and its catalog; None for the built-in one, which the first frame can do without."""
    from edxconsole.catalog.builtin import built_in_ids
    from edxconsole.inventory.loader import find_inventory, load_inventory

    inventory = load_inventory(find_inventory(hosts))
    expected = {component for components in inventory.expect.values() for component in components}
    if inventory.catalog is None and expected <= built_in_ids():
        return inventory, None
    from edxconsole.commands.opening import load_cluster

    return load_cluster(hosts)
