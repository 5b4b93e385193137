"""What of measured numbers is shown, and when: noise never, a rise to a warning level at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edxconsole.cluster.calm import REST, CalmVitals, Move
from edxconsole.cluster.coalesce import Coalescer
from edxconsole.cluster.cost import EVERY
from edxconsole.cluster.model import HostVitals
from edxconsole.cluster.store import Change
from edxconsole.probe.frames import Disk
from tests.unit.cluster.frames_for_tests import T0, beat, lms_host, standing

START = 1000.0


def disk(free: int = 500_000, **changes: Any) -> Disk:
    fields: dict[str, Any] = {"total": 1_000_000, "inodes": 1000, "inodes_free": 900}
    return Disk("/", "/dev/vda", free=free, **(fields | changes))


def measured(**changes: Any) -> HostVitals:
    fields: dict[str, Any] = {
        "load": (0.1, 0.1, 0.1), "cpu": 0.02, "cores": 2, "mem_total": 4_000_000, "mem_available": 3_000_000,
        "swap_total": 1_000_000, "swap_free": 900_000, "disks": (disk(),),
    }  # fmt: skip
    return HostVitals(**(fields | changes))


@pytest.fixture
def calm() -> CalmVitals:
    made = CalmVitals()
    assert made.take(measured(), START) is Move.RISE, "the first ones are shown at once"
    return made


@pytest.mark.parametrize(
    "noise",
    [
        {"load": (0.19, 0.15, 0.1)},
        {"cpu": 0.06},
        {"mem_available": 2_985_000},
        {"swap_free": 895_000},
        {"disks": (disk(499_000),)},
        {"disks": (disk(inodes_free=899),)},
    ],
)
def test_noise_is_never_shown(calm: CalmVitals, noise: dict[str, Any]) -> None:
    before = calm.shown
    assert calm.take(measured(**noise), START + 1) is Move.NONE
    assert calm.take(measured(**noise), START + 3 * REST) is Move.NONE
    assert calm.shown is before


@pytest.mark.parametrize(
    "moved",
    [
        {"load": (0.4, 0.1, 0.1)},
        {"cpu": 0.2},
        {"mem_available": 2_900_000},
        {"swap_free": 880_000},
        {"disks": (disk(495_000),)},
        {"disks": (disk(inodes_free=895),)},
    ],
)
def test_what_wanders_is_shown_when_the_ten_seconds_are_over(calm: CalmVitals, moved: dict[str, Any]) -> None:
    new = measured(**moved)
    assert calm.take(new, START + REST - 0.1) is Move.NONE
    assert calm.take(new, START + REST) is Move.DRIFT
    assert calm.shown == new
    assert calm.take(measured(), START + REST + 1) is Move.NONE, "it rests anew"


@pytest.mark.parametrize(
    "leap",
    [
        {"load": (0.7, 0.1, 0.1)},
        {"cpu": 0.5},
        {"mem_available": 2_500_000},
        {"swap_free": 500_000},
        {"disks": (disk(400_000),)},
    ],
)
def test_what_is_far_off_does_not_wait_for_them(calm: CalmVitals, leap: dict[str, Any]) -> None:
    assert calm.take(measured(**leap), START + 1) is Move.DRIFT
    assert calm.take(measured(), START + 2) is Move.DRIFT, "nor does the way back"


@pytest.mark.parametrize(
    ("below", "above"),
    [
        ({"load": (1.97, 0.1, 0.1)}, {"load": (2.01, 0.1, 0.1)}),
        ({"mem_available": 204_000}, {"mem_available": 199_000}),
        ({"disks": (disk(100_500),)}, {"disks": (disk(99_900),)}),
        ({"disks": (disk(20_500),)}, {"disks": (disk(19_900),)}),
        ({"disks": (disk(inodes_free=101),)}, {"disks": (disk(inodes_free=99),)}),
    ],
)
def test_a_rise_to_a_warning_level_is_shown_at_once_however_small(
    calm: CalmVitals, below: dict[str, Any], above: dict[str, Any]
) -> None:
    calm.take(measured(**below), START + 1)
    assert calm.take(measured(**above), START + 2) is Move.RISE
    assert calm.shown == measured(**above)
    assert calm.take(measured(**below), START + 3) is Move.NONE, "to and fro about a level is noise"


def test_cpu_that_comes_and_goes_is_at_once_only_when_it_rested(calm: CalmVitals) -> None:
    assert calm.take(measured(cpu=0.97), START + REST) is Move.RISE
    assert calm.take(measured(cpu=0.5), START + REST + 1) is Move.DRIFT
    assert calm.take(measured(cpu=0.97), START + REST + 2) is Move.DRIFT
    assert calm.shown == measured(cpu=0.97)


@pytest.mark.parametrize(
    "other",
    [{"mem_total": 8_000_000}, {"cores": 4}, {"disks": ()}, {"disks": (disk(total=2_000_000),)}],
)
def test_another_amount_of_something_is_shown_at_once(calm: CalmVitals, other: dict[str, Any]) -> None:
    assert calm.take(measured(**other), START + 1) is Move.RISE
    assert calm.shown == measured(**other)


def test_the_cost_of_the_probe_drifts() -> None:
    made = lms_host()
    assert made.apply(beat(cpu_ms=10.0), START) is Change.NOTHING
    assert made.apply(beat(cpu_ms=90.0), START + 1) is Change.NOTHING
    assert made.apply(beat(T0 + 1, cpu_ms=10.0 + 3 * EVERY), START + EVERY) is Change.DRIFT
    cost = made.build(standing()).cost
    assert cost is not None
    assert cost.cpu == 0.3
    assert made.apply(beat(T0 + 2, cpu_ms=10.0 + 6 * EVERY), START + 2 * EVERY) is Change.NOTHING


async def test_drift_waits_and_is_told_with_what_is_urgent() -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[float] = asyncio.Queue()
    coalescer = Coalescer(lambda: told.put_nowait(loop.time()), interval=0.0)
    began = loop.time()
    coalescer.touch(patience=0.05)
    coalescer.touch(patience=0.05)
    assert await told.get() >= began + 0.05
    coalescer.touch(patience=0.05)
    coalescer.touch()
    assert await told.get() > began
    await asyncio.sleep(0.1)
    assert told.empty(), "what waited was told with what did not"
    coalescer.touch(patience=0.01)
    coalescer.close()
    await asyncio.sleep(0.05)
    assert told.empty()
