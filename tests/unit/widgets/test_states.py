"""Only a live host may look live: by shape and word, not by colour alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edxconsole.cluster.model import Link, State
from edxconsole.cluster.units import UnitHealth
from tests.tui import snapshots
from widgets.bars import Armed
from widgets.ink import Role
from widgets.states import LINK, STATE, UNIT, link_look, state_on, unit_on

WEB = snapshots.cluster().hosts["web"]


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.LIVE])
@pytest.mark.parametrize("state", State)
def test_nothing_on_a_host_that_is_not_live_is_green(link: Link, state: State) -> None:
    look = state_on(replace(WEB, link=link), state)
    assert look.role is not Role.UP
    assert look.glyph not in {s.glyph for s in STATE.values() if s.role is Role.UP}
    assert look.word in ("unknown", f"was {STATE[state].word}")


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.LIVE])
def test_nor_is_any_unit(link: Link) -> None:
    look = unit_on(replace(WEB, link=link), UnitHealth.RUNNING)
    assert (look.role, look.glyph) != (Role.UP, UNIT[UnitHealth.RUNNING].glyph)
    assert look.word == "was running"


def test_each_state_has_its_own_shape_and_word() -> None:
    assert len({look.glyph for look in STATE.values()}) == len(State)
    assert len({look.word for look in STATE.values()}) == len(State)
    assert set(LINK) == set(Link)
    assert set(UNIT) == set(UnitHealth)


def test_stale_says_for_how_long_since_anything_was_heard() -> None:
    from tests.tui.fakes import StoppedClock

    app2 = snapshots.cluster().hosts["app2"]
    assert link_look(app2, StoppedClock()).word == "stale 4 s"


@pytest.mark.parametrize(
    ("left", "words"),
    [(600, "ARMED until 09:51, 10 min left"), (61, "2 min left"), (5, "less than 1 min left")],
)
def test_armed_says_until_when(left: float, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ((text, role),) = Armed(snapshots.MONO + left).words(snapshots.NOW, snapshots.MONO)
    assert words in text
    assert role is Role.ALARM


def test_arming_that_ran_out_is_read_only() -> None:
    ((text, _),) = Armed(snapshots.MONO - 1).words(snapshots.NOW, snapshots.MONO)
    assert text == " READ-ONLY "
