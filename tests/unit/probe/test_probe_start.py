"""The probe starts from source over stdin on every Python the machine has, and ends when it should."""

from __future__ import annotations

import pytest

from edxconsole.probe.frames import Beat, Listeners, Processes, Vitals
from tests.unit.probe.probing import PYTHONS, Start


@pytest.mark.parametrize("python", PYTHONS, ids=lambda p: p.split("/")[-3])
async def test_first_frames_on_each_python(start: Start, python: str) -> None:
    watch = await start(python)
    hello = watch.channel.hello
    assert python.split("/")[-3].startswith(hello.python)
    assert {"netlink", "supervisor", "files"} <= hello.caps
    processes = await watch.until(Processes)
    assert processes.full
    assert hello.pid in {row.pid for row in processes.new}
    vitals = await watch.until(Vitals)
    assert vitals.disks
    assert vitals.mem_total > vitals.mem_available > 0
    await watch.until(Listeners)
    first = await watch.until(Beat)
    second = await watch.until(Beat, lambda b: b.n > first.n)
    assert second.cpu_ms >= first.cpu_ms > 0
    echo = await watch.channel.echo()
    assert abs(echo.skew) < 0.5
