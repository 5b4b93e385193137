"""An engine that was made read-only can't be armed by anyone who holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.engine import Engine
from edxconsole.errors import ReadOnly
from edxconsole.inventory.loader import load_inventory


@pytest.mark.parametrize("read_only", [True, False])
def test_arming(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text("cluster: t\nhosts:\n  here: {transport: local}\n")
    catalog = load_catalog()
    engine = Engine(load_inventory(path, catalog.components), catalog, journal=tmp_path, read_only=read_only)
    if read_only:
        with pytest.raises(ReadOnly, match="without --read-only"):
            engine.arm(60)
    else:
        engine.arm(60)
    assert (engine.armed_until is None) == read_only
