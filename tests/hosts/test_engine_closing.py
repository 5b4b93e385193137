"""An engine closed at any moment leaves nothing open: no socket, pipe, task, thread or subprocess."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import threading
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import psutil
import pytest

from edxconsole.engine import Engine
from edxconsole.inventory.model import Host, Inventory
from tests.hosts.engine_watch import CATALOG
from tests.lab.lab import Lab

pytestmark = [pytest.mark.hosts, pytest.mark.needs("ssh", "socat")]

MARK = "EDXCONSOLE_CLOSING_TEST"
LONGEST = 1.6
"""seconds in which every host is live, with its watchers running"""
MOMENTS = 12
"""closings per seed"""


@pytest.fixture(scope="module")
def every_way(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    """Hosts reached in each way there is, and some that can't be."""
    gate, direct, slow = module_lab.hosts(3)
    folder = tmp_path_factory.mktemp("ssh")
    config = folder / "config"
    config.write_text(f"Host {slow.address}\n ProxyCommand exec socat - TCP:%h:%p\n")
    wrong = module_lab.directory / "wrong_key"
    wrong.write_text("no key at all\n")
    hosts = [
        gate.inventory_host(),
        direct.inventory_host(name="threads", transport="paramiko"),
        slow.inventory_host(name="behind", jump=gate.name),
        direct.inventory_host(name="behind_too", jump=gate.name, transport="paramiko"),
        slow.inventory_host(name="proxied", ssh_config=config),
        direct.inventory_host(name="refused", port=9),
        direct.inventory_host(name="nowhere", address="10.77.255.240"),
        direct.inventory_host(name="stranger", identity_file=wrong),
        Host(name="here", transport="local"),
    ]
    return Inventory(hosts={host.name: host for host in hosts})


def descriptors() -> dict[int, str]:
    """What we have open: number -> what it is."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
    return found


def left_since(before: dict[int, str]) -> list[str]:
    counted = Counter(before.values())
    return [x for x in descriptors().values() if not counted[x] and "/proc/" not in x]


async def closed_after(moment: float, inventory: Inventory, folder: Path) -> list[str]:
    """What is left in the loop after an engine lived so long."""
    await asyncio.to_thread(int)
    before = descriptors()
    engine = Engine(inventory, CATALOG, journal=folder / "journal")
    async with engine:
        await asyncio.sleep(moment)
        states = sorted(f"{h.name} {h.link}" for h in engine.snapshot.hosts.values())
    tasks = [repr(t) for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    left = [*left_since(before), *tasks]
    return [*left, f"closed after {moment:.3f} s: {states}"] if left else []


def threads_beyond(before: set[int | None]) -> list[str]:
    """Threads of paramiko end a moment after their connection."""
    deadline = time.monotonic() + 3
    while True:
        alive = [t for t in threading.enumerate() if t.ident not in before]
        frames = sys._current_frames()
        found = [f"{t.name} {traceback.format_stack(frames.get(t.ident or 0))[-3:]}" for t in alive]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def subprocesses(mark: str) -> list[str]:
    """What was started by us since the mark was set, and by what that started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(f"{process.pid} {process.status()} {process.cmdline()}")
        except psutil.Error:
            continue
    zombies = [f"zombie {p.pid}" for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]
    return found + zombies


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_left_whenever_it_closes(
    seed: int, every_way: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = random.Random(seed)
    mark = f"{os.getpid()}-{seed}"
    monkeypatch.setenv(MARK, mark)
    threads = {t.ident for t in threading.enumerate()}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(MOMENTS):
            moment = moments.uniform(0, LONGEST)
            began = time.monotonic()
            assert asyncio.run(closed_after(moment, every_way, tmp_path)) == []
            assert time.monotonic() - began < moment + 10
            assert threads_beyond(threads) == []
            assert subprocesses(mark) == []
        gc.collect()
    assert [str(w.message) for w in said] == []
