"""maintenance_heartbeat.txt is looked for by stat(1) and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.model import State
from edxconsole.health.files import check_absent
from edxconsole.transport.base import Result
from tests.unit.health.serving import ask_spec, snapshot

MAINTENANCE = next(h for h in load_catalog().components["nginx"].health if h.kind == "absent")


def at(path: Path) -> HealthSpec:
    return MAINTENANCE.model_copy(update={"path": str(path)})


async def test_the_file_in_place_is_a_warning(tmp_path: Path) -> None:
    there = tmp_path / "maintenance_heartbeat.txt"
    there.write_text("OK")
    found = await ask_spec(at(there), snapshot())
    assert found.state is State.DEGRADED
    assert "nginx itself answers 200 to /heartbeat" in found.text
    assert found.every == 60


@pytest.mark.parametrize("name", ["nothing", "no/such/directory/file", "$(touch x)", "-n"])
async def test_without_it_all_is_well(tmp_path: Path, name: str) -> None:
    found = await ask_spec(at(tmp_path / name), snapshot())
    assert found.state is State.UP
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


class Denied:
    """A host whose directory may not be looked into."""

    ran: tuple[str, ...] = ()

    async def run(self, argv: Any, **_: Any) -> Result:
        self.ran = tuple(argv)
        return Result(self.ran, 1, b"", b"stat: cannot stat '/x': Permission denied\n")


async def test_what_may_not_be_looked_at_is_unknown() -> None:
    host = Denied()
    found = await check_absent(host, MAINTENANCE)  # type: ignore[arg-type]
    assert (found.state, "Permission denied" in found.text) == (State.UNKNOWN, True)
    assert host.ran == ("env", "LC_ALL=C", "stat", "-c", "%F", "--", MAINTENANCE.path)
