"""Lengths of time in words."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A length of time by its largest unit: "4 s", "3 min", "2 h", "5 d"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h"
    return f"{whole // 86400} d"
