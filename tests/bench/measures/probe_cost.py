"""What watching costs a host with 300 processes: the probe, `ps` + `ss` each second, and glances."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from edxconsole.catalog.loader import load_catalog
from edxconsole.demo.namespaces import process_tree
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory
from tests.bench.children.live import until_live
from tests.bench.harness import Row, figure, median
from tests.bench.resources import command_line, cpu_seconds, executable, rss_mb
from tests.bench.stage import Stage
from tests.lab import needs
from tests.lab.host import LabHost

PROCESSES, RUNS, SECONDS = 300, 3, 12.0
GLANCES = needs.CACHE / "glances" / "bin" / "glances"
HOW = """One host with 300 sleeping processes; the probe watches it at 1 Hz as the engine has it do. Three
rounds of 12 s each: the probe alone, then `ps` and `ss -tunlp` by exec once a second, then `glances -q -t
1` (4.5, from a virtual environment of its own outside the repository). CPU is what the kernel counted for
each process (`ps` and `ss`: for the children), memory is VmRSS. Quiet mode draws nothing: the kindest way
to run glances."""

_EXEC = """
import resource, subprocess, sys, time
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    again = time.monotonic() + 1
    subprocess.run(['ps', '-eo', 'pid,ppid,user,stat,rss,pcpu,etimes,args'], **quiet)
    subprocess.run(['ss', '-tunlp'], **quiet)
    time.sleep(max(0, again - time.monotonic()))
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime)
"""
_SLEEPERS = "for i in $(seq {count}); do setsid sleep 100000 & done >/dev/null 2>&1 </dev/null"


@dataclass(slots=True)
class Costs:
    """Percent of a core, one entry for each round."""

    probe: list[float] = field(default_factory=list)
    execs: list[float] = field(default_factory=list)
    glances: list[float] = field(default_factory=list)
    probe_mb: float = 0.0
    glances_mb: float = 0.0


def measure(stage: Stage) -> Iterator[Row]:
    with stage.hosts(1) as (lab, (host,)):
        host.sh(_SLEEPERS.format(count=PROCESSES))
        costs = asyncio.run(_watch(lab.inventory(), host, stage))
    probe, execs = median(costs.probe), median(costs.execs)
    yield Row(f"probe, {PROCESSES} processes at 1 Hz: CPU of a core", probe, "%", most=0.5)
    yield Row("probe: memory", costs.probe_mb, "MB", most=16.0)
    yield _share("probe of ps + ss by exec", probe, execs, 10)
    if costs.glances:
        yield _share("probe of glances", probe, median(costs.glances), 25)
    else:
        yield Row("probe of glances", None, "%", note=f"no glances at {GLANCES}")


def _share(what: str, mine: float, other: float, times: int) -> Row:
    return Row(
        what, mine, "%",
        most=other / times,
        bound=f"≤ 1/{times} = {figure(other / times, '%')}",
        against=f"{what.removeprefix('probe of ')} {figure(other, '%')}",
        ratio=f"1/{other / mine:.0f}",
    )  # fmt: skip


async def _watch(inventory: Inventory, host: LabHost, stage: Stage) -> Costs:
    costs = Costs()
    async with Engine(inventory, load_catalog(), journal=stage.place()) as engine:
        await until_live(engine)
        await engine.wait_settled(20)
        await asyncio.sleep(8)
        pid = probe_pid(host)
        for _ in range(RUNS):
            costs.probe.append(await _used(pid))
            costs.probe_mb = max(costs.probe_mb, rss_mb(pid))
            costs.execs.append(await asyncio.to_thread(_exec_cost, host))
            if await asyncio.to_thread(GLANCES.exists):
                cost, size = await asyncio.to_thread(_glances_cost, host)
                costs.glances.append(cost)
                costs.glances_mb = max(costs.glances_mb, size)
            await asyncio.sleep(3)
    return costs


async def _used(pid: int) -> float:
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)


def probe_pid(host: LabHost) -> int:
    """The probe's process on this host, as this machine counts."""
    found = [p for p in host.box.pids() if "__probe__" in command_line(p)]
    (pid,) = [p for p in found if executable(p).startswith("python")]
    return pid


def _exec_cost(host: LabHost) -> float:
    argv = host.box.command(["python3", "-I", "-c", _EXEC, str(SECONDS)])
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return 100 * float(done.stdout) / SECONDS


def _glances_cost(host: LabHost) -> tuple[float, float]:
    """Percent and MB, once it runs evenly."""
    started = host.box.popen([str(GLANCES), "-q", "-t", "1", "--disable-check-update"])
    try:
        time.sleep(4)
        pid = process_tree(started.pid)[-1]
        if "glances -q" not in command_line(pid):
            raise RuntimeError(f"glances does not run on {host.name}")
        before, began = cpu_seconds(pid), time.monotonic()
        time.sleep(SECONDS)
        return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began), rss_mb(pid)
    finally:
        started.terminate()
        started.wait(10)
