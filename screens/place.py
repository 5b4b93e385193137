"""Where one is in the console, and how screens ask to be somewhere else."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass(frozen=True, slots=True)
class Place:
    """A screen and what it looks at. `kind` is a mode of the app."""

    kind: str
    host: str = ""
    component: str = ""

    def words(self, titles: dict[str, str]) -> str:
        """For the status bar: "app1 › LMS"."""
        parts = [self.host, titles.get(self.component, self.component)]
        return " › ".join(part for part in parts if part) or self.kind


@dataclass(frozen=True, slots=True)
class Target:
    """What an action would be about: a selector and how it is called on screen."""

    selector: str
    title: str
    host: str = ""
    component: str = ""
    unit: str = ""


@dataclass
class Visit(Message):
    """Go somewhere; remembered in the history."""

    place: Place


@dataclass
class WantAct(Message):
    """Open the action modal on a target."""

    target: Target
