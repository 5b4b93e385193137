"""Docker on a real host over SSH: a Tutor project is shown as Docker tells it, acts do what they say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, State
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.commands.checking import check_host
from edxconsole.engine import Engine
from edxconsole.errors import (
    ActFailed,
    IdentityDrift,
    NotConfirmed,
    PermissionMissing,
    UnitUnknown,
    UsageError,
)
from edxconsole.plans.model import GateLevel, Plan, PlanEvent, PlanState
from edxconsole.services import docker_watch
from edxconsole.services.base import Permit, Verb
from edxconsole.services.docker import DockerManager
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab
from tests.lab.watching import instance, unit, until, watching

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox"),
    pytest.mark.timeout(120),
]

CATALOG = load_catalog()
SERVE = """sh -c 'trap "exit 0" TERM; httpd -p 8000; while :; do sleep 0.2; done'"""
ENDS_SLOWLY = """sh -c 'trap "sleep 11; exit 0" TERM; while :; do sleep 0.2; done'"""
"""as a worker does which has a task to finish; Docker by itself would kill it after 10 s"""


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    """A host whose login is in the group docker. Shared: each test has services of its own."""
    host = module_lab.host("tutor")
    host.sh("usermod -aG docker ops")
    docker = Dockerd(host)
    docker.prepare()
    yield docker
    docker.close()


@asynccontextmanager
async def watched(docker: Dockerd, lab: Lab, directory: Path) -> AsyncIterator[Engine]:
    inventory = await asyncio.to_thread(lab.inventory, [docker.host])
    async with watching(inventory, directory) as engine:
        yield engine


def found(
    name: str, health: UnitHealth, but: Identity | None = None
) -> Callable[[ClusterSnapshot], Unit | None]:
    """Finds a unit of the one host in a state (and not in the run `but`)."""

    def seen(snapshot: ClusterSnapshot) -> Unit | None:
        one = unit(snapshot.hosts["tutor"], name)
        return one if one is not None and one.health is health and one.identity != but else None

    return seen


async def run(engine: Engine, plan: Plan) -> list[PlanEvent]:
    engine.arm(600)
    events: list[PlanEvent] = []
    state = await engine.run_plan(plan, confirmation=plan.digest, on_event=events.append)
    assert state is PlanState.DONE
    return events


async def test_a_tutor_project_is_shown_as_docker_tells_it(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    def begin() -> None:
        tutor.run("lms", SERVE, "--restart=unless-stopped", "--health-cmd=true", "--health-interval=1s")
        tutor.run("lms-worker", "sleep 1000", "--restart=unless-stopped")
        tutor.run("mysql", "sleep 1000", "--health-cmd=false", "--health-interval=1s", "--health-retries=1")
        tutor.run("redis", "sh -c 'exit 3'")
        tutor.run("permissions", "true || exit 0")
        tutor.run("cms", "sleep 1000", one_off=True)
        tutor.host.sh("docker run -d --name forum overhangio/openedx:22.0.3-lab sleep 1000")

    await asyncio.to_thread(begin)
    async with watched(tutor, module_lab, tmp_path) as engine:
        lms, _ = await until(
            engine, found("tutor_local:lms", UnitHealth.RUNNING), within=40, what="lms healthy"
        )
        await until(engine, found("tutor_local:mysql", UnitHealth.FAILED), within=40, what="mysql unhealthy")
        host = engine.snapshot.hosts["tutor"]
        told = await asyncio.to_thread(tutor.inspect, "tutor_local-lms-1")
        assert (lms.identity.invocation, lms.identity.pid) == (told["Id"], told["State"]["Pid"])
        assert lms.word == "running (healthy)"
        shown = instance(host, "lms")
        assert shown is not None
        assert shown.state is State.UP
        assert shown.units == ("docker/tutor_local:lms",)
        assert shown.pids == (lms.identity.pid,)
        assert "running (healthy)" in shown.reason
        worker, mysql, redis = (instance(host, c) for c in ("edxapp_worker", "mysql", "redis"))
        assert worker is not None
        assert worker.state is State.UP
        assert mysql is not None
        assert (mysql.state, "health check fails" in mysql.reason) == (State.DOWN, True)
        assert redis is not None
        assert (redis.state, redis.reason) == (State.DOWN, "tutor_local:redis exited (3)")
        assert instance(host, "cms") is None, "a one-off is not the service"
        assert instance(host, "forum") is None, "not of a compose project"
        assert not host.notes
        capabilities = (await engine.capabilities("tutor"))["docker"]
        assert capabilities.route.startswith("unix:/var/run/docker.sock (direct-streamlocal), ")
        assert capabilities.route.endswith("as good as root")
        steps = await check_host(engine, engine.inventory, host, 10.0)
        assert [(f.state, f.remedy) for f in steps if f.subject == "docker"] == [(State.UP, "")]


async def test_what_happens_to_a_container_is_seen_by_events(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    name = "tutor_local:xqueue"
    await asyncio.to_thread(tutor.run, "xqueue", SERVE)
    async with watched(tutor, module_lab, tmp_path) as engine:
        first, _ = await until(engine, found(name, UnitHealth.RUNNING), within=30, what="it runs")
        for command, health in (
            ("pause", UnitHealth.FAILED),
            ("unpause", UnitHealth.RUNNING),
            ("kill", UnitHealth.STOPPED),
            ("start", UnitHealth.RUNNING),
        ):
            await tutor.host.ash(f"docker {command} tutor_local-xqueue-1")
            _, after = await until(engine, found(name, health), within=30, what=command)
            print(f"{command}: shown {after * 1000:.0f} ms after docker had returned")
        again, _ = await until(
            engine, found(name, UnitHealth.RUNNING, first.identity), within=30, what="new run"
        )
        assert again.identity.invocation == first.identity.invocation
        await tutor.host.ash("docker rm -f tutor_local-xqueue-1")
        await until(
            engine, lambda s: unit(s.hosts["tutor"], name) is None, within=30, what="its unit is gone"
        )
        gone = instance(engine.snapshot.hosts["tutor"], "xqueue")
        assert gone is not None
        assert gone.state is State.DOWN


async def test_a_plan_restarts_stops_and_starts_a_container(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    await asyncio.to_thread(
        tutor.run, "forum", SERVE, "--restart=unless-stopped", "--health-cmd=true", "--health-interval=1s"
    )
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found("tutor_local:forum", UnitHealth.RUNNING), within=40, what="forum healthy")
        with pytest.raises(UsageError, match="can't reload"):
            await engine.draft(Verb.RELOAD, "forum@tutor")
        plan = await engine.draft(Verb.RESTART, "forum@tutor")
        assert plan.steps[0].command == "docker restart tutor_local-forum-1"
        events = await run(engine, plan)
        assert {e.gate.level for e in events if e.gate and e.gate.passed} == {GateLevel.L0}
        state = (await asyncio.to_thread(tutor.inspect, "tutor_local-forum-1"))["State"]
        assert (state["Status"], state["Pid"] != plan.steps[0].before.pid) == ("running", True)
        await run(engine, await engine.draft(Verb.STOP, "forum@tutor"))
        state = (await asyncio.to_thread(tutor.inspect, "tutor_local-forum-1"))["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0)
        await until(
            engine, found("tutor_local:forum", UnitHealth.STOPPED), within=30, what="shown as stopped"
        )
        await run(engine, await engine.draft(Verb.START, "forum@tutor"))
        assert (await asyncio.to_thread(tutor.inspect, "tutor_local-forum-1"))["State"]["Running"]


async def test_a_worker_ends_its_tasks_beyond_dockers_ten_seconds(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    await asyncio.to_thread(tutor.run, "cms-worker", ENDS_SLOWLY, project="slow")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found("slow:cms-worker", UnitHealth.RUNNING), within=30, what="it runs")
        plan = await engine.draft(Verb.STOP, "edxapp_worker:cms-worker@tutor")
        assert plan.steps[0].command == "docker stop --time 300 slow-cms-worker-1"
        await run(engine, plan)
    state = (await asyncio.to_thread(tutor.inspect, "slow-cms-worker-1"))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0), "137: it was killed"


async def test_a_restart_is_done_though_nobody_waits_for_it(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """The deadline passes in the stop: Docker finishes it, and starts the container again."""
    slow = """sh -c 'trap "sleep 3; exit 0" TERM; while :; do sleep 0.2; done'"""
    await asyncio.to_thread(tutor.run, "discovery", slow)
    name = "tutor_local:discovery"
    async with watched(tutor, module_lab, tmp_path) as engine:
        before, _ = await until(engine, found(name, UnitHealth.RUNNING), within=30, what="it runs")
        manager = DockerManager(engine.transport("tutor"), CATALOG)
        permit = Permit("plan", "tutor", name, Verb.RESTART, before.identity)
        with pytest.raises(ActFailed, match="Docker goes on with it there"):
            await manager.act(name, Verb.RESTART, permit=permit, deadline=1.0)
        await manager.close()
        await until(engine, found(name, UnitHealth.RUNNING, before.identity), within=40, what="it runs again")


async def test_drift_wrong_permits_and_wrong_names_change_nothing(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    name = "tutor_local:notes"
    await asyncio.to_thread(tutor.run, "notes", "sleep 1000")
    async with watched(tutor, module_lab, tmp_path) as engine:
        manager = DockerManager(engine.transport("tutor"), CATALOG)
        old = await manager.observe(name)
        # As `compose up` does with a new image: the same name and labels, another container.
        await tutor.host.ash("docker rm -f tutor_local-notes-1")
        await asyncio.to_thread(tutor.run, "notes", "sleep 1000")
        now = (await asyncio.to_thread(tutor.inspect, "tutor_local-notes-1"))["State"]["StartedAt"]
        permit = Permit("plan", "tutor", name, Verb.STOP, old.identity)
        with pytest.raises(IdentityDrift):
            await manager.act(name, Verb.STOP, permit=permit, deadline=5)
        with pytest.raises(NotConfirmed):
            await manager.act("tutor_local:lms", Verb.STOP, permit=permit, deadline=5)
        for wrong in ("", "notes", "tutor_local:*", "tutor_local:nosuch", "../x:y", "a:b/c"):
            with pytest.raises(UnitUnknown):
                await manager.observe(wrong)
        after = (await asyncio.to_thread(tutor.inspect, "tutor_local-notes-1"))["State"]["StartedAt"]
        assert after == now
        await manager.close()


async def test_without_dockerd_its_containers_are_unknown_until_it_is_back(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    name = "tutor_local:caddy"
    await asyncio.to_thread(tutor.run, "caddy", "sleep 1000", "--restart=unless-stopped")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found(name, UnitHealth.RUNNING), within=30, what="it runs")
        await asyncio.to_thread(tutor.kill)
        await until(engine, found(name, UnitHealth.UNKNOWN), within=30, what="unknown without dockerd")
        assert any("Containers are unknown" in note for note in engine.snapshot.hosts["tutor"].notes)
        await asyncio.to_thread(tutor.start)
        await until(engine, found(name, UnitHealth.RUNNING), within=30, what="it is seen again")
        await until(engine, lambda s: not s.hosts["tutor"].notes, within=30, what="the note is taken back")


async def test_a_dockerd_that_stalls_is_found_out_and_holds_up_nothing(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_watch, "PULSE", 1.0)
    name = "tutor_local:meilisearch"
    await asyncio.to_thread(tutor.run, "meilisearch", "sleep 1000")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found(name, UnitHealth.RUNNING), within=30, what="it runs")
        await tutor.host.ash("kill -STOP $(cat /var/run/docker.pid)")
        try:
            tutor.host.spawn("sleep 4321")
            await until(
                engine,
                lambda s: any("4321" in p.argv for p in s.hosts["tutor"].processes.values()),
                within=30,
                what="a new process of the host",
            )
            await until(engine, found(name, UnitHealth.UNKNOWN), within=40, what="unknown while it stalls")
            (note,) = engine.snapshot.hosts["tutor"].notes
            assert "see whether dockerd is stuck" in note
        finally:
            await tutor.host.ash("kill -CONT $(cat /var/run/docker.pid)")
        await until(engine, found(name, UnitHealth.RUNNING), within=40, what="it is seen again")


async def test_rights_are_told_and_sudo_is_a_way(module_lab: Lab, tmp_path: Path, tutor: Dockerd) -> None:
    await tutor.host.ash("gpasswd -d ops docker; mv /etc/sudoers.d/lab /root/lab")
    name = "tutor_local:ecommerce"
    await asyncio.to_thread(tutor.run, "ecommerce", SERVE, "--restart=unless-stopped")
    try:
        async with watched(tutor, module_lab, tmp_path) as engine:
            (note,) = [n for n in engine.snapshot.hosts["tutor"].notes if "Containers" in n]
            assert "usermod -aG docker ops" in note
            assert "NOPASSWD" in note
            assert "docker.sock" in note
            with pytest.raises(PermissionMissing):
                await DockerManager(engine.transport("tutor"), CATALOG).list()
        await tutor.host.ash("mv /root/lab /etc/sudoers.d/lab")
        async with watched(tutor, module_lab, tmp_path) as engine:
            await until(engine, found(name, UnitHealth.RUNNING), within=40, what="seen through sudo")
            capabilities = (await engine.capabilities("tutor"))["docker"]
            assert capabilities.route.endswith("(sudo-relay)") or capabilities.route.endswith("docker.sock")
            await run(engine, await engine.draft(Verb.STOP, "*:ecommerce@tutor"))
            await until(engine, found(name, UnitHealth.STOPPED), within=30, what="a change is seen by hints")
            relays = await tutor.host.ash("pgrep -fc EDX-RELAY || true")
            assert int(relays) <= 1, "no session is kept"
    finally:
        await tutor.host.ash(
            "[ -e /etc/sudoers.d/lab ] || mv /root/lab /etc/sudoers.d/lab; usermod -aG docker ops"
        )
