"""What `ssh -G` answered, kept while the files it read stay as they are.

A host that is tried again each second must not cost a process each second. Where the answer
depends on more than files (`Match exec`, `Match localnetwork`, canonical names, an Include by
variable) it is kept for some seconds only.
"""

from __future__ import annotations

import asyncio
import glob
import os
import pwd
import re
import shlex
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from edxconsole.errors import HostUnreachable
from edxconsole.transport.ssh_resolve import ssh_g

VOLATILE_KEPT = 10.0
"""seconds"""
DEPTH = 16
"""of Include, as OpenSSH has it"""
SYSTEM = Path("/etc/ssh/ssh_config")

Said = dict[str, list[str]]
Key = tuple[str, Path | None, int | None, str | None]
_INCLUDE = re.compile(r"\s*include[\s=]+(.+)", re.IGNORECASE)
_VOLATILE = re.compile(
    r"\s*(match\s.*\b(exec|localnetwork)\b|canonicalizehostname[\s=]+\"?(yes|always))", re.I
)
_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(slots=True)
class _Files:
    """The configuration as it is now."""

    stamps: list[tuple[str, int, int, int]] = field(default_factory=list)
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    said: Said | HostUnreachable
    stamp: _Stamp
    until: float


class SshConfigCache:
    """Asks `ssh -G` once per host and state of the files. One event loop.

    Args:
        ask: how to ask; see ssh_resolve.ssh_g.
    """

    def __init__(self, ask: Callable[..., Awaitable[Said]] = ssh_g) -> None:
        self._ask = ask
        self._answers: dict[Key, _Answer] = {}
        self._locks: dict[Key, asyncio.Lock] = {}

    async def ask(
        self, name: str, *, config: Path | None = None, port: int | None = None, user: str | None = None
    ) -> Said:
        """As `ssh_g`. Raises HostUnreachable, also for a configuration known to be broken."""
        key = (name, config, port, user)
        async with self._locks.setdefault(key, asyncio.Lock()):
            files = await asyncio.get_running_loop().run_in_executor(None, _look, config)
            stamp = tuple(files.stamps)
            known = self._answers.get(key)
            if known is None or known.stamp != stamp or time.monotonic() > known.until:
                said = await self._asked(key)
                until = time.monotonic() + VOLATILE_KEPT if files.volatile else float("inf")
                known = self._answers[key] = _Answer(said, stamp, until)
        if isinstance(known.said, HostUnreachable):
            raise HostUnreachable(known.said.cause, host=name, remedy=known.said.remedy)
        return known.said

    async def _asked(self, key: Key) -> Said | HostUnreachable:
        name, config, port, user = key
        try:
            return await self._ask(name, config=config, port=port, user=user)
        except HostUnreachable as error:
            return error


def _look(config: Path | None) -> _Files:
    """Stamp each file that `ssh` reads. In a worker thread."""
    found = _Files()
    # OpenSSH takes the home directory from the password file, not from $HOME.
    home = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
    if config is not None:
        _read(config, home, home, found, DEPTH)
    else:
        _read(home / "config", home, home, found, DEPTH)
        _read(SYSTEM, SYSTEM.parent, home, found, DEPTH)
    return found


def _read(path: Path, base: Path, home: Path, found: _Files, depth: int) -> None:
    try:
        status = path.stat()
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        found.stamps.append((str(path), -1, error.errno or 0, 0))
        return
    found.stamps.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    for line in text.splitlines():
        found.volatile |= _VOLATILE.match(line) is not None
        include = _INCLUDE.match(line)
        if include is not None and depth:
            for pattern in _words(include[1]):
                found.volatile |= "%" in pattern or "$" in pattern
                whole = str(home.parent) + pattern[1:] if pattern.startswith("~/") else str(base / pattern)
                for name in sorted(glob.glob(whole)):
                    _read(Path(name), base, home, found, depth - 1)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
