"""The places one has been to, like a browser's: back, forward, and a new way drops the old one."""

from __future__ import annotations

from screens.place import Place

_MOST = 100


class History:
    """Never empty; the current place is `here`."""

    def __init__(self, start: Place) -> None:
        self._places = [start]
        self._at = 0

    @property
    def here(self) -> Place:
        return self._places[self._at]

    def visit(self, place: Place) -> None:
        """Go on to a place; what was forward of here is forgotten."""
        if place == self.here:
            return
        self._places = [*self._places[: self._at + 1], place][-_MOST:]
        self._at = len(self._places) - 1

    def step(self, by: int) -> Place | None:
        """Back (-1) or forward (1); None at the end."""
        at = self._at + by
        if not 0 <= at < len(self._places):
            return None
        self._at = at
        return self.here

    def last(self, kind: str) -> Place | None:
        """The place of a kind that was visited last."""
        seen = [p for p in self._places if p.kind == kind]
        return seen[-1] if seen else None
