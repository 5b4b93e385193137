"""How sessions stand: refused, never reached, and the engine in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edxconsole.cluster.model import Link
from edxconsole.engine import Engine, EngineThread
from edxconsole.errors import ConnectionLost
from edxconsole.inventory.model import Host, Inventory
from tests.hosts.engine_watch import CATALOG, Watched, watched
from tests.lab.lab import Lab

here = Inventory(hosts={"here": Host(name="here", transport="local")})


def test_the_thread_lives_and_ends(tmp_path: Path) -> None:
    thread = EngineThread(lambda: Engine(here, CATALOG, journal=tmp_path / "journal"))
    with pytest.raises(RuntimeError, match="not there yet"):
        _ = thread.engine
    thread.start()
    engine = thread.wait_made(20)
    snapshot = thread.submit(engine.wait_settled(20)).result(25)
    assert snapshot.hosts["here"].link is Link.LIVE
    assert snapshot.hosts["here"].processes
    thread.stop()
    assert "engine" not in {t.name for t in threading.enumerate()}
    assert engine.snapshot.hosts["here"].link is Link.CLOSED
    with pytest.raises(RuntimeError, match="not running"):
        thread.submit(engine.wait_settled(1))
    thread.stop()


def test_a_thread_stopped_at_once_ends(tmp_path: Path) -> None:
    thread = EngineThread(lambda: Engine(here, CATALOG, journal=tmp_path / "journal"))
    thread.start()
    thread.stop()
    assert "engine" not in {t.name for t in threading.enumerate()}


def test_what_keeps_an_engine_from_being_made_is_told(tmp_path: Path) -> None:
    def broken() -> Engine:
        raise ValueError("no")

    thread = EngineThread(broken)
    thread.start()
    with pytest.raises(ValueError, match="no"):
        thread.wait_made(10)
    thread.stop()


async def test_a_quiet_local_host_publishes_next_to_nothing(tmp_path: Path) -> None:
    async with watched(here, tmp_path) as live:
        await asyncio.sleep(3)
        before = live.host("here").version
        age = live.host("here").ages["processes"].seen
        shown = live.host("here")
        await asyncio.sleep(3)
        assert shown.ages["processes"].seen > age
        assert live.host("here").version - before < 3 * 20


@pytest.mark.hosts
async def test_a_wrong_key_is_refused_and_not_tried_again_by_itself(lab: Lab, tmp_path: Path) -> None:
    good, bad = lab.hosts(2)
    await bad.ash("mv ~ops/.ssh/authorized_keys /root/kept")
    inventory = lab.inventory()
    async with Engine(inventory, CATALOG, journal=tmp_path / "journal") as engine:
        live = Watched(engine)
        await live.until(lambda s: s.hosts[bad.name].link is Link.REFUSED)
        await live.until(lambda s: s.hosts[good.name].link is Link.LIVE)
        attempts = live.session(bad.name).attempts
        await asyncio.sleep(2.5)
        assert live.session(bad.name).attempts == attempts == 1
        assert live.host(bad.name).reason
        with pytest.raises(ConnectionLost, match=bad.name):
            engine.transport(bad.name)
        assert [p.host for p in engine.snapshot.problems if p.text.startswith("refused")] == [bad.name]
        await bad.ash("mv /root/kept ~ops/.ssh/authorized_keys")
        engine.reconnect(bad.name)
        await live.until(lambda s: s.hosts[bad.name].link is Link.LIVE)


@pytest.mark.hosts
async def test_an_unreachable_host_delays_nobody(lab: Lab, tmp_path: Path) -> None:
    good = lab.host()
    known = lab.inventory()
    nowhere = replace(known.hosts[good.name], name="nowhere", address="10.77.255.250")
    inventory = replace(known, hosts=known.hosts | {"nowhere": nowhere})
    began = time.monotonic()
    async with Engine(inventory, CATALOG, journal=tmp_path / "journal") as engine:
        live = Watched(engine)
        await live.until(lambda s: s.hosts[good.name].link is Link.LIVE, 10)
        await live.until(lambda s: s.hosts["nowhere"].link is Link.BACKOFF, 25)
        assert live.host("nowhere").reason.endswith(".")
    assert time.monotonic() - began < 40
