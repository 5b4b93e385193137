"""What the console is opened with: the inventory, and a catalog before the first frame only where needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxconsole import app
from edxconsole.catalog import loader
from edxconsole.errors import CatalogError, InventoryError
from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import SilentPrompter

MINE = "id: billing\ntitle: Billing\nwhat: It bills.\nbreaks: Nobody pays.\n"


def test_the_built_in_catalog_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts: {a: }\nexpect: {a: [lms, nginx]}\n")
    inventory, catalog = app._cluster(path)
    assert inventory.expect == {"a": ("lms", "nginx")}
    assert catalog is None


def test_components_of_the_operator_are_known_and_may_be_expected(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts: {a: }\nexpect: {a: [billing]}\ncatalog: mine.yaml\n")
    inventory, catalog = app._cluster(path)
    assert inventory.expect == {"a": ("billing",)}
    assert catalog is not None
    assert {"billing", "lms"} <= set(catalog.components)


def test_what_nobody_knows_can_not_be_expected(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts: {a: }\nexpect: {a: [lsm]}\n")
    with pytest.raises(InventoryError, match="did you mean 'lms'"):
        app._cluster(path)


def test_a_broken_component_is_told_before_the_screen_opens(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE + "ports: 1\n")
    path = tmp_path / "hosts.yaml"
    path.write_text("hosts: {a: }\ncatalog: mine.yaml\n")
    with pytest.raises(CatalogError, match="ports: unknown key"):
        app._cluster(path)


def test_an_engine_that_can_not_be_started_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise CatalogError("gone")

    monkeypatch.setattr(loader, "load_catalog", broken)
    late = app.LateEngine(Inventory(hosts={"a": Host(name="a")}), SilentPrompter())
    with pytest.raises(RuntimeError):
        _ = late.engine
    late.start()
    late.stop()
    with pytest.raises(ImportError) as caught:
        _ = late.engine
    assert isinstance(caught.value.__cause__, CatalogError)
