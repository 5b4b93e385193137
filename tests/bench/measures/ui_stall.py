"""The longest moment in which the screen's loop could not run, while 64 hosts log in."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.harness import Row, median, spread
from tests.bench.stage import Stage, many_names, stand_aside
from tests.bench.terminal import Terminal

NAMES, HOSTS, RUNS = 64, 12, 3
HOW = """The console in a pty logs in to 64 hosts (64 names for 12 real hosts: 64 logins, key exchanges and
probes) while something asked of its loop every 5 ms tells how late it came. The hosts' processes give way
(nice 10), as if they were elsewhere, the console goes before all others (real-time priority); the time that
the screen's thread was ready but had no core is subtracted, and told beside. The worst moment of each of
three starts, their median."""


def measure(stage: Stage) -> Iterator[Row]:
    stalls: list[float] = []
    raw: list[float] = []
    stacks: list[str] = []
    with stage.hosts(HOSTS, sshd={"MaxStartups": "100", "MaxSessions": "100"}) as (lab, hosts):
        stand_aside(hosts)
        yaml = lab.hosts_yaml(many_names(lab.inventory(), NAMES))
        for _ in range(RUNS):
            found = _login(stage, str(yaml))
            worst = max(found)
            stalls.append(worst[0])
            stacks.append(worst[2])
            raw.append(max(late for _, late, _ in found))
    yield Row(
        f"longest UI stall while {NAMES} hosts log in", median(stalls), "ms", most=30.0,
        against=f"with waits for a core {median(raw):.1f} ms",
        note=f"{spread(stalls, 'ms')}; then in {max(zip(stalls, stacks, strict=True))[1][:140]}",
    )  # fmt: skip


def _login(stage: Stage, yaml: str) -> list[tuple[float, float, str]]:
    """(own ms, ms with waiting for a core, stack) of each late moment."""
    environment = stage.environment() | {"BENCH_TICKER": "1"}
    with Terminal(stage.child("console", yaml), environment, tell="BENCH_TELL") as terminal:
        terminal.wait_for(b"64 live", limit=120)
        time.sleep(2)
        told = [f.split(maxsplit=4) for f in terminal.facts if f.startswith("stall ")]
    found = [(1000 * (float(f[2]) - float(f[3])), 1000 * float(f[2]), f[4]) for f in told]
    return found or [(0.0, 0.0, "nothing was late")]
