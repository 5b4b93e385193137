"""When a probe is told to sample with the others."""

from __future__ import annotations

import pytest

from edxconsole.cluster.step import APART, OUT_OF_STEP, TOGETHER, phase, until_step


def test_few_hosts_are_all_together_and_many_in_groups_evenly_apart() -> None:
    assert {phase(i, TOGETHER) for i in range(TOGETHER)} == {0.0}
    many = [phase(i, 4 * TOGETHER) for i in range(4 * TOGETHER)]
    assert sorted(set(many)) == [0.0, 0.25, 0.5, 0.75]
    assert all(many.count(when) == TOGETHER for when in set(many))
    assert all(0.0 <= phase(i, 37) < 1.0 for i in range(37))


@pytest.mark.parametrize("off", [0.0, 0.9 * OUT_OF_STEP, -0.9 * OUT_OF_STEP])
@pytest.mark.parametrize("when", [0.0, 0.25, 0.95])
def test_one_in_step_is_left_alone(off: float, when: float) -> None:
    assert until_step(when, beaten=1000 + when + off, now=1000.7, journey=0.01) is None


@pytest.mark.parametrize("now", [1000.0, 1000.2, 1000.5, 1000.9])
@pytest.mark.parametrize("off", [0.2, 0.5, -0.3])
def test_one_out_of_step_is_told_so_that_its_sample_arrives_then(now: float, off: float) -> None:
    wait = until_step(0.25, beaten=999.25 + off, now=now, journey=0.05)
    assert wait is not None
    assert APART <= wait < 1.0 + APART
    assert (now + wait + 0.05) % 1.0 == pytest.approx(0.25)
