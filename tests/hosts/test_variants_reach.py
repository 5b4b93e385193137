"""Ways to a host: paramiko, local, through two jump hosts; and many hosts at once, some of them bad."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, Link, State
from edxconsole.engine import Engine
from edxconsole.inventory.model import Inventory
from tests.lab import small
from tests.lab.host import REPOSITORY, LabHost, make_key
from tests.lab.lab import Lab
from tests.lab.small import Log, small_host, ticks
from tests.lab.watching import until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached"), pytest.mark.timeout(150)]

GONE = {Link.LOST, Link.BACKOFF}


async def link_is(engine: Engine, name: str, link: Link, within: float) -> float:
    _, passed = await until(
        engine, lambda s: s.hosts[name].link is link, within=within, what=f"{name} {link}"
    )
    return passed


async def test_paramiko_does_all_of_it(lab: Lab, tmp_path: Path) -> None:
    host = lab.boot({"p": small_host()})["p"]
    async with watching(lab.inventory(transport="paramiko"), tmp_path) as engine:
        await small.all_work(engine, host)
        assert engine.transport("p").info.kind == "paramiko"
        log = Log()
        path = ticks("p").path
        await engine.follow([ticks("p")], log.feed)
        await log.until(lambda g: len(g.lines(path)) > 5)
        await host.ash("pkill -f '[s]shd: ops'")
        await log.until(lambda g: "resumed" in g.marks(path), within=40)
        await small.programs_seen(engine, "p")
        await asyncio.to_thread(host.freeze)
        try:
            await link_is(engine, "p", Link.STALE, 8)
            assert not engine.snapshot.hosts["p"].trusted
            await link_is(engine, "p", Link.LOST, 16)
            assert not [i for i in engine.snapshot.hosts["p"].instances if i.state is State.UP]
        finally:
            await asyncio.to_thread(host.thaw)
        await link_is(engine, "p", Link.LIVE, 15)
        count = len(log.lines(path))
        await log.until(lambda g: len(g.lines(path)) > count + 10)
        small.consecutive(log.lines(path))
        await small.restart(engine, "p")
        await small.answers(engine, "p")


LOCAL = """
import asyncio, json, sys, tempfile
from pathlib import Path
sys.path.insert(0, {repository!r})
from edxconsole.inventory.model import Environment, Host, Inventory
from tests.lab import small
from tests.lab.watching import watching


async def main(become):
    host = Host(name="here", transport="local", become=become)
    inventory = Inventory(environment=Environment.DEVELOPMENT, hosts={{"here": host}})
    with tempfile.TemporaryDirectory() as folder:
        async with watching(inventory, Path(folder)) as engine:
            seen = await small.is_live(engine, "here")
            told = {{"user": seen.user, "notes": seen.notes}}
            told["how"] = [r.how for r in seen.listeners if r.port]
            await small.answers(engine, "here")
            log = small.Log()
            await engine.follow([small.ticks("here")], log.feed)
            await log.until(lambda g: len(g.lines(small.ticks("here").path)) > 20)
            if become or seen.user == "root":
                await small.programs_seen(engine, "here")
                await small.restart(engine, "here")
                told["restarted"] = True
            print(json.dumps(told))


asyncio.run(main(sys.argv[1] if sys.argv[1:] else None))
"""


@pytest.mark.parametrize(
    ("user", "become", "sees_all"), [("root", "", True), ("ops", "sudo", True), ("ops", "", False)]
)
def test_local_on_a_host_itself(
    module_lab: Lab, local: LabHost, user: str, become: str, sees_all: bool
) -> None:
    """The console runs on the host it watches."""
    python = REPOSITORY / ".venv/bin/python"
    before = small.pid_of(local)
    said = local.sh(
        f"cd / && env -u XDG_STATE_HOME HOME=/tmp runuser -u {user} -- {python} /run/lab/local.py {become}",
        timeout=90,
    )

    told = json.loads(said.splitlines()[-1])
    assert told["user"] == user
    assert (set(told["how"]) == {"owner"}) is sees_all
    assert any("become: sudo" in note for note in told["notes"]) is not sees_all
    assert (small.pid_of(local) != before) is sees_all


@pytest.fixture(scope="module")
def local(module_lab: Lab) -> LabHost:
    files = {"/run/lab/local.py": LOCAL.format(repository=str(REPOSITORY))}
    host = module_lab.boot({"local": small_host(files=files)})["local"]
    small.wait_running(host)
    return host


async def test_behind_two_jump_hosts(lab: Lab, tmp_path: Path) -> None:
    """When the first of them dies, the host behind is lost by its fault, and is back with it."""
    made = lab.boot({"outer": small_host(), "inner": small_host(), "target": small_host()})
    outer, target = made["outer"], made["target"]
    plain = lab.inventory()
    hosts = dict(plain.hosts)
    hosts["inner"] = replace(hosts["inner"], jump="outer")
    hosts["target"] = replace(hosts["target"], jump="inner")
    inventory = replace(plain, hosts=hosts)
    catalog = await asyncio.to_thread(load_catalog)
    async with Engine(inventory, catalog, hosts=["target"], journal=tmp_path / "journal") as engine:
        await engine.wait_settled(30)
        await small.all_work(engine, target)
        assert engine.transport("target").info.via in (("outer", "inner"), ("inner", "outer"))
        outer.kill()
        await until(engine, lambda s: s.hosts["target"].link in GONE, within=40, what="target lost")
        _, _ = await until(
            engine,
            lambda s: s.hosts["target"].link in GONE and "outer" in s.hosts["target"].reason,
            within=30,
            what="a reason that names the jump host",
        )
        assert not [i for i in engine.snapshot.hosts["target"].instances if i.state is State.UP]
        outer.boot()
        outer.wait_ssh()
        await link_is(engine, "target", Link.LIVE, 25)
        await small.programs_seen(engine, "target")


def with_bad(inventory: Inventory, lab: Lab, bad: LabHost) -> Inventory:
    """The same, `bad` with a key that nobody has authorized."""
    stranger = lab.directory / "stranger"
    hosts = dict(inventory.hosts)
    hosts[bad.name] = replace(hosts[bad.name], identity_file=stranger)
    return replace(inventory, hosts=hosts)


async def test_twenty_hosts_three_of_them_bad(lab: Lab, tmp_path: Path) -> None:
    hosts = lab.hosts(20)
    refused, frozen, stranger = hosts[0], hosts[7], hosts[13]
    bad = {refused.name, frozen.name, stranger.name}
    good = {h.name for h in hosts} - bad
    make_key(lab.directory / "stranger")
    await asyncio.to_thread(refused.refuse_ssh)
    await asyncio.to_thread(frozen.freeze)
    inventory = with_bad(lab.inventory(), lab, stranger)
    catalog = await asyncio.to_thread(load_catalog)

    def all_good(snapshot: ClusterSnapshot) -> bool:
        return {n for n, h in snapshot.hosts.items() if h.link is Link.LIVE} == good

    try:
        async with Engine(inventory, catalog, journal=tmp_path / "journal") as engine:
            began = time.monotonic()
            await until(engine, all_good, within=30, what="the good ones live")
            live_after = time.monotonic() - began
            # The frozen one was still being dialled then: nobody waited for it.
            assert engine.snapshot.hosts[frozen.name].link not in (*GONE, Link.LIVE), live_after
            await until(
                engine,
                lambda s: {p.host for p in s.problems if p.component == ""} >= bad,
                within=40,
                what="the bad ones named",
            )
            said = {p.host: p.text for p in engine.snapshot.problems if p.component == ""}
            assert set(said) == bad
            assert "refused" in said[refused.name]
            assert engine.snapshot.hosts[stranger.name].link is Link.REFUSED
            assert "stranger" in said[stranger.name] or "key" in said[stranger.name]
            assert engine.snapshot.hosts[frozen.name].link is Link.BACKOFF
            await asyncio.to_thread(frozen.thaw)
            await asyncio.to_thread(refused.accept_ssh)
            await link_is(engine, frozen.name, Link.LIVE, 25)
            await link_is(engine, refused.name, Link.LIVE, 25)
            assert all(engine.snapshot.hosts[n].link is Link.LIVE for n in good)
            assert {engine.session(n).attempts for n in good} == {1}
    finally:
        await asyncio.to_thread(frozen.thaw)
