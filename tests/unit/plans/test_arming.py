"""Arming is deliberate, expires, and can be forbidden."""

from __future__ import annotations

import pytest

from edxconsole.errors import ReadOnly
from edxconsole.plans.arming import Arming


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_read_only_until_armed_and_again_when_time_is_up() -> None:
    clock = Clock()
    arming = Arming(clock=clock)
    with pytest.raises(ReadOnly, match="arm it first"):
        arming.require()
    arming.arm(600)
    arming.require()
    assert arming.until == 700
    clock.now = 700
    assert arming.until is None
    with pytest.raises(ReadOnly):
        arming.require()


def test_disarm_is_at_once() -> None:
    arming = Arming()
    arming.arm(600)
    arming.disarm()
    with pytest.raises(ReadOnly):
        arming.require()


def test_a_locked_console_can_not_be_armed() -> None:
    arming = Arming(locked=True)
    with pytest.raises(ReadOnly, match="--read-only"):
        arming.arm(600)
    assert arming.until is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_arming_for_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Arming().arm(seconds)
