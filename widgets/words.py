"""Numbers and times in the words an operator uses."""

from __future__ import annotations

import re
import time

_STAMP = re.compile(r" \(started \d{1,20}\)")


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


def clock_time(at: float) -> str:
    """Hours, minutes and seconds of the console's clock, e.g. "09:41:12"."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def since(at: float, now: float) -> str:
    """When something began, in five to eleven cells: "09:41" today, "21 Nov 09:41" before."""
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b %H:%M", then).lstrip("0")


def short_since(at: float, now: float) -> str:
    """When something began, in at most six cells: "09:41" today, "21 Nov" before."""
    text = since(at, now)
    return text if len(text) <= 6 else text.rsplit(" ", 1)[0]


def told(text: str) -> str:
    """What the engine says, without the managers' own start stamps: seconds, ticks or microseconds.

    They only compare with themselves, in the interlock; when something began is shown as a time.
    """
    return _STAMP.sub("", text) if "(started " in text else text


def size(kib: float) -> str:
    """A size given in KiB: "512 K", "7.8 G"."""
    value = float(kib)
    for unit in "KMGT":
        if value < 1000 or unit == "T":
            return f"{value:.0f} {unit}" if value >= 10 or unit == "K" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def count(number: int, word: str) -> str:
    """ "1 host", "3 hosts" """
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
