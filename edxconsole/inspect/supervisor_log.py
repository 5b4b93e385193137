"""What supervisord's own log says of each program lately: starts and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} [A-Z]{4} "
    r"(?:(spawned): '([^'\n]{1,200})' with pid \d+"
    r"|(exited): (\S{1,200}) \((.{1,120})\)"
    r"|(gave up): (\S{1,200}))"
)
_STAMP = "%Y-%m-%d %H:%M:%S"


@dataclass(slots=True)
class Past:
    """One program in the part of the log that was read. Times are the host's, without a zone."""

    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    """when it ended by itself; an operator's stop is no end"""
    last_end: str = ""
    gave_up: bool = False

    def starts_within(self, now: datetime, seconds: float) -> int:
        return _within(self.starts, now, seconds)

    def ends_within(self, now: datetime, seconds: float) -> int:
        return _within(self.ends, now, seconds)


def read_past(text: str) -> tuple[dict[str, Past], datetime | None]:
    """Program (without its group: the log does not say it) -> its past; since when the text tells."""
    past: dict[str, Past] = {}
    since: datetime | None = None
    for line in text.splitlines():
        stamp = read_stamp(line[:19])
        since = since or stamp
        found = _LINE.match(line[:1000])
        if found is None or stamp is None:
            continue
        program = past.setdefault(found[3] or found[5] or found[8], Past())
        if found[2]:
            program.starts.append(stamp)
        elif found[4]:
            program.ends.append(stamp)
            program.last_end = f"{found[1]}: {found[6]}"
        else:
            program.gave_up = True
    return past, since


def _within(stamps: list[datetime], now: datetime, seconds: float) -> int:
    return sum(0 <= (now - stamp).total_seconds() <= seconds for stamp in stamps)


def read_stamp(text: str) -> datetime | None:
    """`2026-11-23 05:12:47`; None when it is none."""
    try:
        return datetime.strptime(text.strip(), _STAMP)
    except ValueError:
        return None
