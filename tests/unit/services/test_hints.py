"""When to look again: daemons and sockets count, passing processes don't."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from edxconsole.cluster.model import HostSnapshot, Link, Listener, Process
from edxconsole.services.hints import Hints


class Port:
    """The part of a HostPort that hints use."""

    def __init__(self) -> None:
        self.snapshot = HostSnapshot("web1", 1, Link.LIVE, "", 0.0)
        self._event = asyncio.Event()

    def see(self, *processes: Process, listeners: tuple[Listener, ...] = ()) -> None:
        self.snapshot = replace(self.snapshot, processes={p.pid: p for p in processes}, listeners=listeners)
        self._event.set()

    async def wait_change(self) -> None:
        await self._event.wait()
        self._event.clear()


def process(pid: int, ppid: int, start: int = 1) -> Process:
    return Process(pid, start, 0.0, ppid, 0, "root", "x", ("x",), "S", 0.0, 0, 1)


async def test_daemons_and_sockets_are_hints_and_passing_processes_are_not() -> None:
    port = Port()
    port.see(process(10, 1))
    hints = Hints(port)  # type: ignore[arg-type]
    assert not await hints.changed(0.05)

    port.see(process(10, 1), process(99, 50))
    assert not await hints.changed(0.05), "a shell's child came and went"

    port.see(process(11, 1))
    assert await hints.changed(5)
    port.see(process(11, 1, start=2))
    assert await hints.changed(5), "the same pid, another start"
    port.see(process(11, 1, start=2), listeners=(Listener("tcp", "0.0.0.0", 80, "", None, "none", "", ""),))
    assert await hints.changed(5)
    assert not await hints.changed(0.05)


async def test_a_change_between_two_calls_is_not_lost() -> None:
    port = Port()
    hints = Hints(port)  # type: ignore[arg-type]
    port.see(process(10, 1))
    await port.wait_change()
    assert await hints.changed(5)
