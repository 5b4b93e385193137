"""What a row says of the health checks of an instance."""

from __future__ import annotations

import pytest

from edxconsole.cluster.model import Age, Evidence, Instance, State
from edxconsole.cluster.running import health_of

UP, DEGRADED, DOWN, UNKNOWN = State.UP, State.DEGRADED, State.DOWN, State.UNKNOWN


@pytest.mark.parametrize(
    ("state", "answers", "told"),
    [
        (UP, [], None),
        (UP, [UP, UNKNOWN], 0),
        (UP, [UNKNOWN, UP], 1),
        (UP, [UNKNOWN], 0),
        (UNKNOWN, [UP, UNKNOWN], 1),
        (DEGRADED, [UP, DEGRADED, UNKNOWN], 1),
        (DOWN, [UNKNOWN, DOWN, UP], 1),
    ],
)
def test_the_worst_counts_but_what_is_up_is_not_called_unknown(
    state: State, answers: list[State], told: int | None
) -> None:
    evidence = tuple(Evidence("health", f"check {n}", s, Age(0.0, 0.0)) for n, s in enumerate(answers))
    instance = Instance(
        component="mysql",
        host="data",
        state=state,
        reason="",
        since=None,
        units=(),
        pids=(),
        ports=(),
        workers_expected=None,
        workers_found=None,
        evidence=(Evidence("process", "runs", DOWN, Age(0.0, 0.0)), *evidence),
        expected=True,
    )
    assert health_of(instance) is (None if told is None else evidence[told])
