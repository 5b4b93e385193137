"""Which hosts ~/.ssh/config names: concrete aliases only, for `init` and for hints.

What an alias means is never decided here; the transport asks `ssh -G` (OpenSSH's own answer).
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from edxconsole.inventory.names import HOST_NAME
from edxconsole.settings import home_dir

MAX_FILES = 64
MAX_BYTES = 1 << 20


def ssh_aliases(path: Path | None = None) -> tuple[str, ...]:
    """Aliases of `Host` lines without patterns, in file order, Include followed.

    Names that can't be host names here are left out. A missing or unreadable file has none.
    """
    start = path or home_dir() / ".ssh" / "config"
    found: dict[str, None] = {}
    for keyword, words in _lines(start, set()):
        if keyword == "host":
            found.update(dict.fromkeys(w for w in words if re.fullmatch(HOST_NAME.strip("^$"), w)))
    return tuple(found)


def _lines(path: Path, seen: set[Path]) -> Iterator[tuple[str, list[str]]]:
    """Keyword (small letters) and words of each line, Include replaced by what it includes."""
    real = path.resolve()
    if real in seen or len(seen) >= MAX_FILES:
        return
    seen.add(real)
    try:
        if not real.is_file() or real.stat().st_size > MAX_BYTES:
            return
        text = real.read_text("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        keyword, words = _split(line)
        if keyword == "include":
            for included in words:
                pattern = Path(os.path.expanduser(included))
                base = pattern if pattern.is_absolute() else home_dir() / ".ssh" / pattern
                for name in sorted(glob.glob(str(base))):
                    yield from _lines(Path(name), seen)
        elif keyword:
            yield keyword, words


def _split(line: str) -> tuple[str, list[str]]:
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return "", []
    keyword, _, rest = re.sub(r"^(\w+)\s*=\s*|^(\w+)\s+", r"\1\2=", stripped).partition("=")
    try:
        return keyword.lower(), shlex.split(rest, comments=True)
    except ValueError:
        return keyword.lower(), rest.split()
