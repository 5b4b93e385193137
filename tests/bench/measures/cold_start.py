"""12 hosts from nothing to live data, against `clush` and plain `ssh` running `true` on them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from edxconsole.inventory.model import Inventory
from edxconsole.probe.launcher import launch
from edxconsole.transport.base import SilentPrompter
from edxconsole.transport.factory import ConnectionPool, make_transport
from tests.bench.harness import Row, figure, median
from tests.bench.stage import Stage
from tests.lab.host import LabHost

HOSTS, RUNS = 12, 5
HOW = """Engine start to all 12 hosts LIVE with a process table, each time in a fresh process
(`tests.bench.children.live`), interleaved with `clush -w h1..h12 true` and with 12 parallel `ssh HOST true`.
One probe start is the median time of `launch()` on a connection that is open already. The second line also
counts Python's start and our imports. Told to use curve25519, as asyncssh does by itself, OpenSSH is twice as
fast as it comes: that is a comparison without a bound."""
CURVE = ("-o", "KexAlgorithms=curve25519-sha256")
UNBOUND = "clush, curve25519"


def measure(stage: Stage) -> Iterator[Row]:
    with stage.hosts(HOSTS) as (lab, hosts):
        yaml = lab.hosts_yaml()
        live: list[float] = []
        whole: list[float] = []
        others: dict[str, list[float]] = {"clush": [], UNBOUND: [], "ssh": []}
        for _ in range(RUNS):
            since = time.monotonic()
            found = engine_child(stage, yaml)
            live.append(found["live"])
            whole.append(found["at"] - since)
            others["clush"].append(timed(clush(hosts)))
            others[UNBOUND].append(timed(clush(hosts, *CURVE)))
            others["ssh"].append(timed(*([*host.ssh_argv(), "true"] for host in hosts)))
        probe = median(asyncio.run(probe_starts(lab.inventory(hosts[:1]), RUNS)))
    for name, times in others.items():
        bound = 2 * median(times) + probe
        for what, mine in (("", live), (", imports too", whole)):
            yield Row(
                f"{HOSTS} hosts cold to live{what}",
                median(mine), "s",
                most=None if name == UNBOUND else bound,
                bound="" if name == UNBOUND else f"≤ {figure(bound, 's')} (2× + probe {figure(probe, 's')})",
                against=f"{name} {figure(median(times), 's')}",
                ratio=f"{median(mine) / median(times):.1f}",
            )  # fmt: skip


def engine_child(stage: Stage, yaml: Path, seconds: float = 0.0) -> dict[str, float]:
    """What tests.bench.children.live found on these hosts."""
    argv = stage.child("live", str(yaml), str(seconds))
    said = subprocess.run(argv, env=stage.environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(said)
    return found


def clush(hosts: Sequence[LabHost], *options: str) -> list[str]:
    """`clush` running `true` as it runs ssh: with our keys, all hosts at once."""
    flags = [*hosts[0].ssh_argv(*options)[1:-1], "-n"]
    nodes = ",".join(host.address for host in hosts)
    return ["clush", "-S", "-f", "64", "-l", hosts[0].user, "-w", nodes, "-o", " ".join(flags), "true"]


def timed(*commands: Sequence[str]) -> float:
    """Seconds until all these, started together, have ended well."""
    began = time.monotonic()
    running = [subprocess.Popen(argv, stdin=subprocess.DEVNULL) for argv in commands]
    for process in running:
        if process.wait(60):
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    return time.monotonic() - began


async def probe_starts(inventory: Inventory, count: int) -> list[float]:
    """Seconds from launch() to the first frame, on one open connection of one host."""
    (host,) = inventory.hosts.values()
    prompter = SilentPrompter()
    pool = ConnectionPool(inventory, prompter)
    transport = make_transport(host, inventory, prompter, pool=pool)
    await transport.connect()
    times = []
    try:
        for _ in range(count):
            began = time.monotonic()
            probe = await launch(transport, become=host.become)
            times.append(time.monotonic() - began)
            await probe.close()
    finally:
        await transport.close()
        await pool.close()
    return times
