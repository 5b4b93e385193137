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
    clear: bool = True
    """False: what it answered is not understood, so its first bytes belong to the evidence"""


def good(text: str) -> Answer:
    return Answer(State.UP, text)


def poor(text: str) -> Answer:
    """It says in its own words that it is not well."""
    return Answer(State.DEGRADED, text)


def odd(text: str) -> Answer:
    """It answers, but not as it should."""
    return Answer(State.DEGRADED, text, clear=False)


def dead(text: str) -> Answer:
    return Answer(State.DOWN, text)


def unknown(text: str) -> Answer:
    return Answer(State.UNKNOWN, text)
