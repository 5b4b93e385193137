"""Where the built-in components are, and their ids without reading them."""

from __future__ import annotations

from pathlib import Path

BUILT_IN = Path(__file__).parent / "components"


def built_in_ids() -> frozenset[str]:
    """Each file has the name of its component."""
    return frozenset(path.stem for path in BUILT_IN.glob("*.yaml"))
