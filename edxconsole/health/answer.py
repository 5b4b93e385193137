"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

from edxconsole.cluster.model import State


@dataclass(frozen=True, slots=True)
class Answer:
    """`state` up, degraded (it answers, but not well), down (no answer) or unknown (can't be asked)."""

    state: State
    text: str
    """one clause; host output in it is cleaned"""


def good(text: str) -> Answer:
    return Answer(State.UP, text)


def poor(text: str) -> Answer:
    return Answer(State.DEGRADED, text)


def dead(text: str) -> Answer:
    return Answer(State.DOWN, text)
