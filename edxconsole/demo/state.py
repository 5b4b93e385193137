"""What a running demo leaves for other shells of the same user: one directory, mode 0700, held by a lock.

The lock belongs to the process that holds the demo and goes with it, however it ends; a directory whose lock
is free is a leftover and is removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import platformdirs

from edxconsole.errors import DemoError

LOOPBACK = "loopback"


def directory() -> Path:
    """$XDG_RUNTIME_DIR/edxconsole-demo where that exists, else edxconsole/demo in the state directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime, "edxconsole-demo")
    return platformdirs.user_state_path("edxconsole") / "demo"


@dataclass(frozen=True, slots=True)
class DemoState:
    """A running demo. `pids`: each host's PID 1 as other shells see it; `mode`: user, root or loopback."""

    holder: int
    mode: str
    pids: Mapping[str, int]
    stand_ins: tuple[str, ...]
    notice: str
    """one line for the screen: what is a stand-in, what is not separated"""


@dataclass(slots=True)
class StateDir:
    """The directory of this user's demo."""

    path: Path
    _lock: IO[bytes] | None = None

    def take(self) -> None:
        """Make the directory afresh and hold it. Raises `DemoError` if a demo is running."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(self.path, 0o700)
        lock = open(self.path / "lock", "wb")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise DemoError(
                "a demo cluster of yours is already running", remedy="end it with: edxconsole demo --stop"
            ) from None
        self._lock = lock
        self._empty()

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != "lock":
                entry.unlink()

    def leave(self) -> None:
        """Remove everything; the holder calls it at its end."""
        self._empty()
        (self.path / "lock").unlink(missing_ok=True)
        if self._lock:
            self._lock.close()
            self._lock = None

    def held(self) -> bool:
        """Whether a demo runs, in any process of this user."""
        try:
            with open(self.path / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def clean(self) -> bool:
        """Remove a leftover; True if there was one."""
        if self.held() or not (self.path / "lock").exists():
            return False
        self._empty()
        (self.path / "lock").unlink(missing_ok=True)
        return True

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write one file of the directory, whole or not at all."""
        path = self.path / name
        part = path.with_suffix(".part")
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
        with open(descriptor, "w") as file:
            file.write(text)
        part.rename(path)
        return path

    def save(self, state: DemoState) -> None:
        """Publish the state; other shells can act on the demo from now on."""
        self.write("demo.json", json.dumps(asdict(state), indent=1))

    def load(self) -> DemoState:
        """The running demo. Raises `DemoError` if there is none, or it is still starting."""
        if not self.held():
            raise DemoError("no demo cluster of yours is running", remedy="start one with: edxconsole demo")
        try:
            raw = json.loads((self.path / "demo.json").read_text())
        except FileNotFoundError:
            raise DemoError(
                "the demo cluster is still starting", remedy="try again in a few seconds"
            ) from None
        return DemoState(**raw | {"stand_ins": tuple(raw["stand_ins"])})

    def holder(self) -> int:
        """The process that holds the demo, known from its first moment. Raises `DemoError`."""
        try:
            return int((self.path / "holder").read_text())
        except (FileNotFoundError, ValueError):
            raise DemoError("the demo cluster is just starting", remedy="try again in a second") from None

    def broken(self) -> list[str]:
        """Names of the failures injected and not mended, oldest first."""
        try:
            return list(json.loads((self.path / "broken.json").read_text()))
        except FileNotFoundError:
            return []

    def set_broken(self, names: list[str]) -> None:
        """Remember which failures are injected."""
        self.write("broken.json", json.dumps(names))
