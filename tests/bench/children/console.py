"""edxconsole, unchanged but for a tell-tale: facts with their time on the descriptor $BENCH_TELL.

    change T VERSION           the engine published a snapshot
    port T NUMBER              the model has this port open for the first time
    stall T LATE WAITED STACK  the UI loop ran LATE s late, WAITED s of them without a core

Run as `python -m tests.bench.children.console HOSTS_YAML`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from edxconsole.cluster.model import ClusterSnapshot
from screens.bridge import Bridge

TICK = 0.005
WORTH_TELLING = 0.002
_OUT = int(os.environ["BENCH_TELL"])
_PORTS = range(7000, 8000)


def tell(*words: object) -> None:
    os.write(_OUT, (" ".join(map(str, words)) + "\n").encode())


def waited() -> float:
    """Seconds this thread was ready to run but had no core (proc(5), schedstat)."""
    with Path("/proc/thread-self/schedstat").open() as file:
        return int(file.read().split()[1]) / 1e9


class Ticker:
    """Asks the loop every 5 ms to run something, and tells when that came late, and what ran instead."""

    def __init__(self) -> None:
        self._due = float("inf")
        self._thread = threading.get_ident()
        self._stack = ""
        threading.Thread(target=self._watch, daemon=True).start()

    async def run(self) -> None:
        while True:
            had = waited()
            self._due = time.monotonic() + TICK
            await asyncio.sleep(TICK)
            now = time.monotonic()
            late, self._due = now - self._due, float("inf")
            if late > WORTH_TELLING:
                tell("stall", now, late, waited() - had, self._stack or "?")
            self._stack = ""

    def _watch(self) -> None:
        while True:
            time.sleep(0.002)
            if time.monotonic() > self._due + WORTH_TELLING and not self._stack:
                frame = sys._current_frames().get(self._thread)
                calls = traceback.extract_stack(frame)[-7:]
                self._stack = "<".join(f"{Path(c.filename).name}:{c.lineno}:{c.name}" for c in calls[::-1])


class Teller:
    """Tells of every published snapshot, and of each new port."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._known: set[int] = set()

    def __call__(self) -> None:
        at, snapshot = time.monotonic(), self._bridge.engine.snapshot
        ports = _ports(snapshot)
        for port in ports - self._known:
            tell("port", at, port)
        self._known = ports
        tell("change", at, snapshot.version)


def _ports(snapshot: ClusterSnapshot) -> set[int]:
    return {x.port for host in snapshot.hosts.values() for x in host.listeners if x.port in _PORTS}


def main(hosts: Path) -> int:
    opened = Bridge.open
    keep: list[object] = []

    async def open_and_tell(self: Bridge, wake: Callable[[], None]) -> None:
        if "BENCH_TICKER" in os.environ:
            keep.append(asyncio.create_task(Ticker().run()))
        await opened(self, wake)
        if "BENCH_CHANGES" in os.environ:
            self.engine.subscribe(Teller(self))

    Bridge.open = open_and_tell  # type: ignore[method-assign]
    from edxconsole.app import run_app

    return run_app(hosts)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
