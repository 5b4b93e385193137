"""Hosts for measures: each measure gets fresh ones, gone when it is done."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edxconsole.inventory.model import Inventory
from tests.lab import cluster as clusters
from tests.lab import network
from tests.lab.cluster import LabCluster
from tests.lab.host import LabHost
from tests.lab.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = 10
"""niceness of hosts that stand for other machines, so that they leave the cores to the console"""


class Stage:
    """Enters the lab's network; from then on what we start reaches the hosts by plain addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._net = network.enter()
        self._numbers = itertools.count(1)

    def place(self) -> Path:
        """A fresh directory."""
        path = self.folder / str(next(self._numbers))
        path.mkdir()
        return path

    @contextlib.contextmanager
    def lab(self) -> Iterator[Lab]:
        with Lab(self._net, self.place()) as made:
            yield made

    @contextlib.contextmanager
    def hosts(self, count: int, **options: Any) -> Iterator[tuple[Lab, list[LabHost]]]:
        with self.lab() as made:
            yield made, made.hosts(count, **options)

    @contextlib.contextmanager
    def cluster(self) -> Iterator[LabCluster]:
        """web, app1, app2 and data, with everything but RabbitMQ."""
        with self.lab() as made:
            yield clusters.start_cluster(made)

    def environment(self) -> dict[str, str]:
        """For a child that is edxconsole: its own empty XDG directories, a terminal that can do much."""
        place = self.place()
        kinds = {f"XDG_{kind}_HOME": str(place / kind) for kind in ("STATE", "CONFIG", "CACHE")}
        look = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        return {**os.environ, **look, **kinds, "PYTHONPATH": str(ROOT)}

    def child(self, name: str, *arguments: str) -> list[str]:
        """The command line of a program of tests/bench/children."""
        return [sys.executable, "-m", f"tests.bench.children.{name}", *arguments]


def stand_aside(hosts: Sequence[LabHost]) -> None:
    """Let hosts that share our cores give way, as if they were elsewhere."""
    for host in hosts:
        for pid in host.box.pids():
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, pid, ELSEWHERE)


def many_names(inventory: Inventory, count: int) -> Inventory:
    """`count` names for the hosts there are, in turn: so many logins, on fewer machines."""
    real = list(inventory.hosts.values())
    named = (replace(real[i % len(real)], name=f"host{i + 1}") for i in range(count))
    return replace(inventory, hosts={host.name: host for host in named})
