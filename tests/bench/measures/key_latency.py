"""From a key to the painted frame, in a real pty: quiet, and while a host floods its log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from tests.bench.harness import Row, p95, spread
from tests.bench.stage import Stage, stand_aside
from tests.bench.terminal import Terminal
from tests.lab.cluster import LabCluster

KEYS = 60
DOWN, UP = b"\x1b[B", b"\x1b[A"
LOG = "/edx/var/log/lms/edx.log"
FLOODED = b"env:flooded"
HOW = """The console in a pty (120×36) on the light cluster. Quiet: the cursor goes down and up in the host
table of the Cluster screen, 60 keys, from the write of the key to the read that ends its frame. Flood: a
program on app1 writes 10,000 lines/s to edx.log, all sources are followed on the Logs screen; the cursor
goes down and up in the list of sources, from the key to the read with the row it moved to. The cluster's
processes give way (nice 10), the console goes before all others (real-time priority)."""
_FLOOD = """
import sys, time
line = "Nov 22 07:14:16 app1 [service_variant=lms][openedx.core][env:flooded] INFO [app1 123] [user 7] "
line += "[views.py:%d] - a request like any other was answered\\n"
began = time.monotonic()
with open(sys.argv[1], "a") as file:
    for turn in range(int(50 * float(sys.argv[2]))):
        file.write("".join(line % (turn * 200 + i) for i in range(200)))
        file.flush()
        time.sleep(max(0, began + (turn + 1) / 50 - time.monotonic()))
"""


def measure(stage: Stage) -> Iterator[Row]:
    with stage.cluster() as cluster:
        stand_aside(cluster.hosts)
        yaml = str(cluster.lab.hosts_yaml(cluster.inventory()))
        argv = stage.child("console", yaml)
        with Terminal(argv, stage.environment(), tell="BENCH_TELL") as terminal:
            terminal.wait_for(b"4 live", limit=60)
            time.sleep(6)
            quiet = _quiet(terminal)
            flood, bytes_read = _flooded(terminal, cluster)
    yield Row("key → painted frame, quiet, p95", p95(quiet), "ms", most=15.0, note=spread(quiet, "ms"))
    yield Row(
        "key → painted frame, 10,000 log lines/s, p95", p95(flood), "ms", most=40.0,
        note=f"{spread(flood, 'ms')}; {bytes_read / 1e6:.1f} MB painted meanwhile",
    )  # fmt: skip


def _quiet(terminal: Terminal) -> list[float]:
    terminal.type(b"\t")
    time.sleep(0.5)
    times = []
    for number in range(KEYS):
        since = terminal.position
        at = terminal.type(DOWN if number % 2 == 0 else UP)
        times.append(1000 * (terminal.wait_frame(since) - at))
        time.sleep(0.31)
    return times


def _flooded(terminal: Terminal, cluster: LabCluster) -> tuple[list[float], int]:
    terminal.type(b"4")
    time.sleep(3)
    argv = cluster.app1.box.command(["nice", "-n", "10", "python3", "-I", "-c", _FLOOD, LOG, "40"])
    flood = subprocess.Popen(argv)
    try:
        terminal.type(b"\t")
        time.sleep(1)
        terminal.type(b"u")
        terminal.wait_for(FLOODED, terminal.position)
        time.sleep(2)
        begin = terminal.position
        times = []
        for number in range(KEYS):
            since = terminal.position
            at = terminal.type(DOWN if number % 2 == 0 else UP)
            times.append(1000 * (terminal.wait_for(b"/edx/var", since) - at))
            time.sleep(0.31)
        terminal.wait_for(FLOODED, terminal.position)
        return times, sum(len(chunk.data) for chunk in terminal.chunks(begin))
    finally:
        flood.terminate()
        flood.wait(10)
