"""Numbers and times in the words an operator uses."""

from __future__ import annotations

import re
import time

from edxconsole.spans import span

__all__ = ["clock_time", "count", "short_since", "since", "size", "span", "told"]

_STAMP = re.compile(r" \(started \d{1,20}\)")


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
