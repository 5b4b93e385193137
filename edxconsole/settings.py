"""Where edxconsole keeps its own files, by the XDG rules; the operator's preferences."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path:
    """Journal, log file and pinned host keys: $XDG_STATE_HOME/edxconsole (0700)."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "edxconsole"
