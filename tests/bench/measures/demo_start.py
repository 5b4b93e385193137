"""How soon `edxconsole demo` shows live data, and what the whole of it takes of the machine's memory."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edxconsole.demo.namespaces import process_tree
from tests.bench.harness import Row, median, spread
from tests.bench.stage import Stage
from tests.bench.terminal import Terminal

RUNS = 5
HOW = """`edxconsole demo` started in a pty until the header tells of four live hosts, five times after one
warm-up: everything is set up, as at a second start. Memory is the proportional share (PSS) of every process
of the demo together, right then, without the console's own."""


def measure(stage: Stage) -> Iterator[Row]:
    found = [_start(stage) for _ in range(RUNS + 1)][1:]
    seconds = [one[0] for one in found]
    note = spread(seconds, "s")
    yield Row("demo: second start to four live hosts", median(seconds), "s", most=5.0, note=note)
    yield Row("demo cluster: memory", median([one[1] for one in found]), "MB", most=400.0)


def _start(stage: Stage) -> tuple[float, float]:
    """Seconds to live data, MB of memory."""
    # Short: a UNIX socket's path has to fit into 108 bytes.
    runtime = Path(tempfile.mkdtemp(prefix="edxbench"))
    environment = stage.environment() | {"XDG_RUNTIME_DIR": str(runtime)}
    try:
        with Terminal([sys.executable, "-m", "edxconsole", "demo"], environment) as terminal:
            seconds = terminal.wait_for(b"4 live") - terminal.started
            return seconds, _memory(process_tree(terminal.process.pid)[1:])
    finally:
        shutil.rmtree(runtime)


def _memory(pids: list[int]) -> float:
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            kib += int(found[1]) if found else 0
    return kib / 1024
