"""What the engine shows of each failure of the demo, and that it shows the mended cluster whole again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Link, Problem, State
from edxconsole.demo.breaks import BREAKS
from edxconsole.engine import Engine
from edxconsole.inventory.loader import load_inventory
from tests.lab.watching import until, watching
from tests.support.demo import Demo, demo, runtime_directory

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("demo-shown"), pytest.mark.timeout(240)]

HEALTHY_AGAIN = 75.0
"""seconds: a crash loop is over a minute after its last restart"""


@pytest.fixture(scope="module")
def running() -> Iterator[Demo]:
    runtime = runtime_directory()
    with demo(runtime) as one:
        yield one
    shutil.rmtree(runtime)


@pytest.fixture
async def engine(running: Demo, tmp_path: Path) -> AsyncIterator[Engine]:
    inventory = await asyncio.to_thread(load_inventory, running.hosts)
    async with watching(inventory, tmp_path) as watched:
        yield watched


def is_well(snapshot: ClusterSnapshot) -> bool:
    instances = [i for host in snapshot.hosts.values() for i in host.instances]
    live = all(host.link is Link.LIVE for host in snapshot.hosts.values())
    return live and not snapshot.problems and bool(instances) and all(i.state is State.UP for i in instances)


def told(host: str, component: str, state: State, *words: str) -> Callable[[ClusterSnapshot], bool]:
    """Whether a problem of this host and component is told, so bad, in these words."""

    def fits(problem: Problem) -> bool:
        here = (problem.host, problem.component, problem.state) == (host, component, state)
        return here and all(word in problem.text for word in words)

    return lambda snapshot: any(fits(problem) for problem in snapshot.problems)


def link(host: str, *links: Link) -> Callable[[ClusterSnapshot], bool]:
    """Whether a host is in one of these states, and nothing of it is shown as current."""
    return lambda snapshot: snapshot.hosts[host].link in links and not snapshot.hosts[host].trusted


SHOWN: dict[str, tuple[Callable[[ClusterSnapshot], bool], ...]] = {
    "app-crash-loop": (
        told("app2", "cms", State.DEGRADED, "edxapp:cms"),
        lambda snapshot: any("edxapp:cms" in key for key in snapshot.hosts["app2"].restarting),
    ),
    "orphan-port": (
        told("app1", "lms", State.DEGRADED, "port 8000 is held by pid", "gunicorn", "edxapp:lms"),
    ),
    "worker-stopping": (told("app1", "edxapp_worker", State.DEGRADED, "lms_default_1 STOPPING"),),
    "disk-full": (told("app2", "", State.DEGRADED, "disk / is 97% full"),),
    "host-frozen": (link("app2", Link.STALE), link("app2", Link.LOST), told("app2", "", State.DOWN, "lost")),
    "host-gone": (link("app2", Link.STALE), link("app2", Link.LOST), told("app2", "", State.DOWN, "lost")),
    "memcached-down": (
        told("data", "memcached", State.DOWN, "gone"),
        told("app1", "lms", State.DEGRADED, "/heartbeat answers 503", "cache_set false"),
    ),
    "mysql-down": (
        told("data", "mysql", State.DOWN, "gone"),
        told("app2", "lms", State.DEGRADED, "/heartbeat answers 503"),
    ),
}
"""what must be seen of each failure, in this order"""


def test_each_failure_has_its_signs() -> None:
    assert SHOWN.keys() == BREAKS.keys()


@pytest.mark.parametrize("name", SHOWN)
async def test_a_failure_is_shown_and_its_end_too(running: Demo, engine: Engine, name: str) -> None:
    await until(engine, is_well, within=HEALTHY_AGAIN, what="a cluster that is well, before")
    broken = await asyncio.to_thread(running.command, "--break", name)
    assert broken.returncode == 0, broken.stderr
    try:
        for number, seen in enumerate(SHOWN[name]):
            await until(engine, seen, within=30, what=f"sign {number} of {name}")
    finally:
        mended = await asyncio.to_thread(running.command, "--mend", name)
    assert mended.returncode == 0, mended.stderr
    await until(engine, is_well, within=HEALTHY_AGAIN, what=f"a cluster that is well, after {name}")
