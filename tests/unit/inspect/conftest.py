"""A stage for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.inspect.stage import Stage


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    """Connected; its script is empty."""
    made = Stage()
    await made.connect()
    yield made
    await made.close()
