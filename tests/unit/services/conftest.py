"""Fixtures of the service managers: this machine as a host, real supervisords."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edxconsole.services.supervisor import SupervisorManager
from tests.unit.services.daemon import VERSIONS, Daemon
from tests.unit.services.docker_standin import Standin
from tests.unit.services.here import Here


@pytest.fixture
async def here() -> AsyncIterator[Here]:
    transport = Here()
    yield transport
    await transport.close()


@pytest.fixture(scope="module", params=VERSIONS)
def each_daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """One running supervisord per version, shared by a module's tests."""
    daemon = Daemon(request.param).start()
    yield daemon
    daemon.stop()


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A supervisord of the newest version for one test, not yet started."""
    fresh = Daemon("4.3.0")
    yield fresh
    fresh.stop()


@pytest.fixture
async def manager(each_daemon: Daemon, here: Here) -> AsyncIterator[SupervisorManager]:
    found = SupervisorManager(here, each_daemon.place)
    yield found
    await found.close()


@pytest.fixture
async def standin(tmp_path: Path) -> AsyncIterator[Standin]:
    """A dockerd that answers as recorded, or as badly as a test wants."""
    made = Standin(tmp_path / "docker.sock")
    await made.start()
    yield made
    await made.stop()
