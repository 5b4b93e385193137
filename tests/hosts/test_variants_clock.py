"""A host whose clock is three minutes ahead: said, and every age is right all the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.lab import small
from tests.lab.lab import Lab
from tests.lab.small import Log, small_host, ticks
from tests.lab.watching import until, watching

AHEAD = 185.0

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("memcached", "faketime"),
    pytest.mark.timeout(120),
]


def faked(seconds: float, *words: str) -> str:
    return f"env FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f {seconds:+g}s " + " ".join(words)


def python(seconds: float) -> dict[str, str]:
    """An interpreter that lives in another time."""
    return {"/run/lab/python": f'#!/bin/sh\nexec {faked(seconds, "/usr/bin/python3")} "$@"\n'}


@pytest.mark.parametrize("skew", [AHEAD, -AHEAD, 1.5, 0.3])
async def test_skew_is_said_and_ages_are_right(lab: Lab, tmp_path: Path, skew: float) -> None:
    options = small_host(files=python(skew), prepare="chmod 755 /run/lab/python", under=faked(skew))
    booted = time.time()
    lab.boot({"skewed": options})
    async with watching(lab.inventory(python="/run/lab/python"), tmp_path) as engine:
        await small.programs_seen(engine, "skewed")
        await until(
            engine,
            lambda s: s.hosts["skewed"].skew is not None and abs(s.hosts["skewed"].skew - skew) < 0.25,
            within=30,
            what=f"a skew of {skew} s",
        )
        log = Log()
        await engine.follow([ticks("skewed")], log.feed)
        await asyncio.sleep(2)
        seen = engine.snapshot.hosts["skewed"]
        told = [p.text for p in engine.snapshot.problems if "clock" in p.text]
        if abs(skew) >= 1:
            assert [t for t in told if f"{abs(skew):.1f} s" in t or abs(skew) < 2], told
            assert ("ahead" in told[0]) is (skew > 0)
        else:
            assert not told
        now = time.time()
        for source in ("vitals", "processes", "listeners", "supervisor"):
            assert abs(seen.ages[source].at - now) < 10, source
        for process in seen.processes.values():
            assert booted - 5 < process.started_at < now + 2, process
        for unit in seen.units.values():
            if unit.since is not None:
                assert booted - 5 < unit.since < now + 2, unit
        for instance in seen.instances:
            if instance.since is not None:
                assert booted - 5 < instance.since < now + 2, instance
        assert all(abs(batch.at - now) < 10 for batch in log.read())
        assert log.lines(ticks("skewed").path)
