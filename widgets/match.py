"""The one filter language of every pane: words that must all be there, `!word` that must not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A filter. A word in lower case matches either case; a capital makes it exact.

    Plain substrings, never patterns: nothing an operator types or a host sends can make it slow.
    """

    text: str
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Match:
        """`celery !INFO` -> lines with "celery" in any case and without "INFO"."""
        words = text.split()
        return cls(
            text.strip(),
            tuple(w for w in words if not w.startswith("!")),
            tuple(w[1:] for w in words if w.startswith("!") and len(w) > 1),
        )

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted)

    def __call__(self, line: str) -> bool:
        lower = line.lower()
        return all(self._in(w, line, lower) for w in self.wanted) and not any(
            self._in(w, line, lower) for w in self.unwanted
        )

    @staticmethod
    def _in(word: str, line: str, lower: str) -> bool:
        return word in (lower if word == word.lower() else line)
