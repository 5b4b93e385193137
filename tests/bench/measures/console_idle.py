"""The console on 12 quiet hosts: CPU, memory, what it paints, and what each host costs it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.harness import Row, median
from tests.bench.measures.cold_start import engine_child
from tests.bench.resources import cpu_seconds, rss_mb
from tests.bench.stage import Stage
from tests.bench.terminal import Chunk, Terminal

HOSTS, WINDOWS, SECONDS, SETTLE = 12, 3, 10.0, 15.0
DRAWING = 0.1
"""seconds within which a frame was certainly drawn"""
HOW = """The console in a pty (120×36, Cluster screen) on 12 hosts where nothing happens, 15 s after its
start: three windows of 10 s. CPU of the whole process. A frame is needless when the engine published
nothing since the frame before it (load averages of the hosts are the machine's own, and do change). CPU per
host: the engine alone, without a screen, on the same 12 hosts, divided by 12."""


@dataclass(frozen=True, slots=True)
class Window:
    """One stretch of watching."""

    cpu: float
    frames: int
    needless: int
    changes: int
    data: int


def measure(stage: Stage) -> Iterator[Row]:
    with stage.hosts(HOSTS) as (lab, _):
        yaml = lab.hosts_yaml()
        environment = stage.environment() | {"BENCH_CHANGES": "1"}
        with Terminal(stage.child("console", str(yaml)), environment, tell="BENCH_TELL") as terminal:
            terminal.wait_for(b"12 live", limit=60)
            time.sleep(SETTLE)
            windows = [_window(terminal) for _ in range(WINDOWS)]
            memory = rss_mb(terminal.process.pid)
        engine = [engine_child(stage, yaml, SECONDS)["cpu"] * 1000 / SECONDS / HOSTS for _ in range(WINDOWS)]
    yield Row(f"console, {HOSTS} quiet hosts: CPU of a core", median([w.cpu for w in windows]), "%", most=2.0)
    yield Row("console: memory", memory, "MB", most=150.0)
    frames = sum(w.frames for w in windows)
    yield Row(
        "console: frames when nothing changed", sum(w.needless for w in windows), "", most=0,
        note=f"{frames} frames for {sum(w.changes for w in windows)} changes of the model in 30 s",
    )  # fmt: skip
    yield Row("console: bytes painted in 10 s", median([w.data for w in windows]), "")
    yield Row("engine: client CPU per host and second", median(engine), "ms", most=0.8)


def _window(terminal: Terminal) -> Window:
    since, told = terminal.position, len(terminal.facts)
    before, began = cpu_seconds(terminal.process.pid), time.monotonic()
    time.sleep(SECONDS)
    cpu = 100 * (cpu_seconds(terminal.process.pid) - before) / (time.monotonic() - began)
    changes = [float(f.split()[1]) for f in terminal.facts[told:] if f.startswith("change ")]
    frames = terminal.frames(since)
    data = sum(len(chunk.data) for chunk in terminal.chunks(since))
    return Window(cpu, len(frames), needless(frames, changes, began), len(changes), data)


def needless(frames: list[Chunk], changes: list[float], began: float) -> int:
    """How many frames had no change between them and the frame before.

    A change may come while a frame is being drawn, and is then shown by the next one.
    """
    starts = [began - 1.0, *(frame.at for frame in frames)]
    return sum(
        not any(before - DRAWING <= change <= after for change in changes)
        for before, after in itertools.pairwise(starts)
    )
