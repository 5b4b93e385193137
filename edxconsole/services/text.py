"""What a host says, made fit to be shown: bounded, one line, no control characters."""

from __future__ import annotations

import unicodedata

LIMIT = 300


def clean(text: str, limit: int = LIMIT) -> str:
    """One printable line of at most `limit` characters; controls and bidi marks become spaces."""
    printable = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in text[: limit * 4])
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_lines(data: bytes, count: int = 3, limit: int = LIMIT) -> str:
    """The last non-empty lines of a log's tail, cleaned and joined by " | "."""
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(clean(line, limit) for line in lines[-count:])
