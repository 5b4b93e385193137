"""How soon there is something to see, against importing Textual alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from tests.bench.harness import Row, figure, median
from tests.bench.stage import Stage
from tests.bench.terminal import Terminal, undisturbed

RUNS = 7
HOW = """`edxconsole` started in a pty to the first bytes of its first frame with the hosts' names in it,
interleaved with `python -c 'import textual.app'`, seven of each; one warm-up of each before. Both run
before the other programs of the machine (real-time priority). A Textual app that only says hello needs
about 0.8 of that import (whose process also has to end). Neither pydantic nor the catalog, asyncssh or the
engine is imported before that frame (docs/architecture.md, Start)."""


def measure(stage: Stage) -> Iterator[Row]:
    frames: list[float] = []
    imports: list[float] = []
    with stage.hosts(1) as (lab, _):
        yaml = str(lab.hosts_yaml())
        for number in range(RUNS + 1):
            found = _import_time(), _first_frame(stage, yaml)
            if number:
                imports.append(found[0])
                frames.append(found[1])
    mine, other = median(frames), median(imports)
    yield Row(
        "first frame", mine, "s",
        most=1.5 * other,
        bound=f"≤ 1.5 × = {figure(1.5 * other, 's')}",
        against=f"import textual.app {figure(other, 's')}",
        ratio=f"{mine / other:.2f}",
    )  # fmt: skip


def _import_time() -> float:
    began = time.monotonic()
    subprocess.run(undisturbed([sys.executable, "-c", "import textual.app"]), check=True)
    return time.monotonic() - began


def _first_frame(stage: Stage, yaml: str) -> float:
    argv = [sys.executable, "-m", "edxconsole", "--hosts", yaml]
    with Terminal(argv, stage.environment()) as terminal:
        return terminal.wait_for(b"h1") - terminal.started
