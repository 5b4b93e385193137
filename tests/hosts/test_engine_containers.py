"""Processes of containers are seen on the host, but are not taken for services of the host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.watching import instance, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached")]

INSIDE = "unshare --pid --fork --kill-child=KILL sh -c 'exec memcached -u nobody -l 127.0.0.1 -p 11999'"
"""memcached in a pid namespace of its own, as in a container"""


async def test_a_contained_memcached_is_not_the_hosts(lab: Lab, host: LabHost, tmp_path: Path) -> None:
    await asyncio.to_thread(host.spawn, INSIDE)
    inventory = await asyncio.to_thread(lab.inventory)
    async with watching(inventory, tmp_path) as engine:
        process, _ = await until(
            engine,
            lambda s: next((p for p in s.hosts["h1"].processes.values() if p.comm == "memcached"), None),
            within=30,
            what="the contained memcached among the processes",
        )
        assert process.contained
        assert instance(engine.snapshot.hosts["h1"], "memcached") is None
        await asyncio.to_thread(host.spawn, "memcached -u nobody -l 127.0.0.1 -p 11211")
        own, _ = await until(
            engine, lambda s: instance(s.hosts["h1"], "memcached"), within=30, what="the host's own memcached"
        )
        assert own.ports == (11211,)
