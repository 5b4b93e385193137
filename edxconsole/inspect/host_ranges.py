"""Many host names in few characters, as clush folds them: app[1-3,7], db."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})([^0-9]*)", re.DOTALL)


def fold_hosts(names: Iterable[str]) -> str:
    """The names, each once, in the order of their first; those that differ in their last number as ranges.

    Zeros before a number are kept: app[08-10] is app08, app09, app10; app[8-10] is app8, app9, app10.
    """
    known = list(dict.fromkeys(names))
    families: dict[tuple[str, str], list[str]] = {}
    for name in known:
        found = _NUMBERED.fullmatch(name)
        families.setdefault((found[1], found[3]) if found else (name, ""), []).append(
            found[2] if found else ""
        )
    parts: list[str] = []
    for (before, after), numbers in families.items():
        folded = _fold([n for n in numbers if n])
        parts += [f"{before}{after}" for n in numbers if not n]
        if folded:
            alone = folded.isdigit()
            parts.append(f"{before}{folded}{after}" if alone else f"{before}[{folded}]{after}")
    return ",".join(parts)


def _fold(numbers: list[str]) -> str:
    """8, 9, 10 as 8-10. Numbers of a width that some fill with zeros are a family of their own."""
    padded = {len(n) for n in numbers if n[0] == "0" and len(n) > 1}
    runs: list[str] = []
    for width in (0, *sorted(padded)):
        same = sorted({int(n) for n in numbers if (len(n) if len(n) in padded else 0) == width})
        runs += [
            f"{first:0{width}d}" if first == last else f"{first:0{width}d}-{last:0{width}d}"
            for first, last in _runs(same)
        ]
    return ",".join(runs)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """First and last of each stretch without a gap."""
    start = last = None
    for number in numbers:
        if start is None or last is None or number != last + 1:
            if start is not None and last is not None:
                yield start, last
            start = number
        last = number
    if start is not None and last is not None:
        yield start, last
