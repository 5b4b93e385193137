"""The compose files that `tutor config save` writes (22.0.3), brought up by a real docker compose 2.

The images are stand-ins: one of busybox under every name, as no registry is reached.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.cluster.units import UnitHealth
from edxconsole.errors import IdentityDrift
from edxconsole.services.base import Verb
from tests.lab.dockerd import IMAGE, Dockerd
from tests.lab.lab import Lab
from tests.lab.small import Log
from tests.lab.tutor import HOST, found, run, tutor_host, watched
from tests.lab.watching import instance, until

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox", "docker-compose-2"),
    pytest.mark.timeout(240),
]

RENDERED = Path(__file__).parents[1] / "unit/discovery/golden/tutor-22.0.3/env/local"
ROOT = "/home/ops/tutor"
SERVICES = (
    "caddy", "cms", "cms-worker", "lms", "lms-worker", "meilisearch", "mongodb", "mysql", "permissions",
    "redis", "smtp",
)  # fmt: skip


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    with tutor_host(module_lab) as docker:
        host = docker.host
        host.sh(f"mkdir -p {ROOT}/env/local {ROOT}/env/apps/permissions {ROOT}/data")
        host.sh(f"echo 'exit 0' >{ROOT}/env/apps/permissions/setowners.sh")
        for name in ("docker-compose.yml", "docker-compose.prod.yml"):
            text = (RENDERED / name).read_text()
            host.box.path(f"{ROOT}/env/local/{name}").write_text(text)
            for image in sorted(set(re.findall(r"image: (\S+)", text))):
                host.sh(f"docker tag {IMAGE} {image}")
        docker.compose(ROOT, "up -d")
        try:
            yield docker
        finally:
            docker.compose(ROOT, "down --timeout 1")


def settled(snapshot: ClusterSnapshot) -> bool:
    units = {u.name: u.word for u in snapshot.hosts[HOST].units.values() if u.kind == "docker"}
    words = {name: ("exited (0)" if name == "permissions" else "running") for name in SERVICES}
    return units == {f"tutor_local:{name}": word for name, word in words.items()}


async def test_a_project_of_compose_2_is_seen_whole(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, settled, within=60, what="every service of the project, and no other unit")
        host = engine.snapshot.hosts[HOST]
        seen = {i.component for i in host.instances if i.units and "docker/" in i.units[0]}
        assert seen == {
            "caddy", "cms", "edxapp_worker", "lms", "meilisearch", "mongodb", "mysql", "permissions", "redis",
            "smtp",
        }  # fmt: skip
        permissions = instance(host, "permissions")
        assert permissions is not None
        assert (permissions.state, "normal" in permissions.reason) == (State.UP, True)
        worker = instance(host, "edxapp_worker")
        assert worker is not None
        assert set(worker.units) == {"docker/tutor_local:cms-worker", "docker/tutor_local:lms-worker"}
        lms = host.units["docker/tutor_local:lms"]
        assert lms.container is not None
        assert lms.container.image == "docker.io/overhangio/openedx:22.0.3"
        assert lms.container.policy == "unless-stopped"
        logs = engine.log_sources([HOST])
        assert {s.path for s in logs} >= {f"docker:tutor_local:{name}" for name in SERVICES}
        # A job of compose's (`run`) is not the service.
        job = asyncio.create_task(asyncio.to_thread(tutor.compose, ROOT, "run -d --no-deps lms serve job"))
        await job
        assert settled(engine.snapshot)


async def test_compose_and_the_console_agree_on_what_was_done(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, settled, within=60, what="the whole project")
        log = Log()
        await engine.follow(engine.log_sources([HOST], ["edxapp_worker"]), log.feed)
        path = "docker:tutor_local:lms-worker"
        await log.until(lambda g: len(g.lines(path)) == 1, within=40, what="its output")
        assert "--queues=edx.lms.core.default,edx.lms.core.high" in log.lines(path)[0]
        plan = await engine.draft(Verb.STOP, "edxapp_worker:lms-worker@tutor")
        assert plan.steps[0].command == "docker stop --time 300 tutor_local-lms-worker-1"
        await run(engine, plan)
        stopped = await asyncio.to_thread(tutor.compose, ROOT, "ps --services --status exited")
        assert "lms-worker" in stopped.split()
        plan = await engine.draft(Verb.START, "edxapp_worker:lms-worker@tutor")
        # As `tutor local start -d` does after a new image: the same name, another container.
        await asyncio.to_thread(tutor.compose, ROOT, "up -d --no-deps --force-recreate lms-worker")
        with pytest.raises(IdentityDrift):
            await run(engine, plan)
        await until(
            engine, found("tutor_local:lms-worker", UnitHealth.RUNNING), within=40, what="the new one runs"
        )
        await log.until(lambda g: "rotated" in g.marks(path), within=40, what="its output is followed on")
        await run(engine, await engine.draft(Verb.RESTART, "edxapp_worker:cms-worker@tutor"))
