"""Wait for something outside to become true, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Return once `holds` does; fail the test after so many seconds."""
    for _ in range(int(seconds / 0.03)):
        if await holds():
            return
        await asyncio.sleep(0.03)
    raise AssertionError(f"it did not become true in {seconds} s")


async def until_file_says(path: Path, text: str) -> None:
    """Return once a file exists with exactly this text."""

    async def says() -> bool:
        return text_of(path) == text

    await eventually(says)


def text_of(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
