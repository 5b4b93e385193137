"""Docker on a real host over SSH: a Tutor project is shown as Docker tells it, acts do what they say."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import ClusterSnapshot, Instance, State
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.commands.checking import check_host
from edxconsole.errors import (
    ActFailed,
    IdentityDrift,
    NotConfirmed,
    PermissionMissing,
    UnitUnknown,
    UsageError,
)
from edxconsole.plans.model import GateLevel
from edxconsole.services import docker_watch
from edxconsole.services.base import Permit, Verb
from edxconsole.services.docker import DockerManager
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab
from tests.lab.tutor import found, run, tutor_host, watched
from tests.lab.watching import instance, unit, until

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox"),
    pytest.mark.timeout(120),
]

CATALOG = load_catalog()
WELL = r"""echo "{\"modulestore\": {\"status\": true}, \"sql\": {\"status\": true}}" >/tmp/heartbeat"""
"""what LMS and Studio of Tutor answer when they are well, on the port where they do"""
SERVE = f"""sh -c 'trap "exit 0" TERM
{WELL}
httpd -p 8000 -h /tmp
while :; do sleep 0.2; done'"""
MASTER = rf"""sh -c 'begin() {{ httpd -f -p 8000 -h /tmp & c=$!; }}
trap "kill \$c; wait \$c; begin" HUP
trap "exit 0" TERM
{WELL}
begin
while :; do wait; sleep 0.1; done'"""
"""as uwsgi does: HUP to process 1 makes new workers"""
ENDS_SLOWLY = """sh -c 'trap "sleep 15; exit 0" TERM; while :; do sleep 0.2; done'"""
"""as a worker does which has a task to finish; Docker by itself would kill it after 10 s"""


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    """Shared: each test has services of its own."""
    with tutor_host(module_lab) as docker:
        yield docker


def judged(component: str, state: State, word: str = "") -> Callable[[ClusterSnapshot], Instance | None]:
    """Finds a component of the one host in a state, whose reason has a word."""

    def seen(snapshot: ClusterSnapshot) -> Instance | None:
        one = instance(snapshot.hosts["tutor"], component)
        return one if one is not None and one.state is state and word in one.reason else None

    return seen


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
        shown, _ = await until(engine, judged("lms", State.UP), within=40, what="its heartbeat")
        assert shown.units == ("docker/tutor_local:lms",)
        assert shown.pids == (lms.identity.pid,)
        assert "running (healthy)" in shown.reason
        (answer,) = [e for e in shown.evidence if e.source == "health"]
        assert answer.text.startswith(
            "heartbeat in tutor_local:lms: /heartbeat answers 200, modulestore, sql"
        )
        host = engine.snapshot.hosts["tutor"]
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


async def test_a_container_is_asked_at_its_own_address(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """Nothing else says how it is: no health check of its own, and no port of the host."""
    await asyncio.to_thread(tutor.run, "cms", SERVE)
    address = (await asyncio.to_thread(tutor.inspect, "tutor_local-cms-1"))["NetworkSettings"]["IPAddress"]
    spoil = f"OUTPUT -d {address} -p tcp --dport 8000 -j DROP"
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, judged("cms", State.UP), within=40, what="well by its heartbeat")
        broken = '{"sql": {"status": false, "message": "gone away"}}'
        change = "docker exec -i tutor_local-cms-1 busybox tee /tmp/heartbeat"
        await tutor.host.ash(f"echo '{broken}' | {change}")
        bad, _ = await until(engine, judged("cms", State.DEGRADED, "sql false"), within=30, what="sql false")
        assert "its database does not answer it (gone away); look at the database" in bad.reason
        await tutor.host.ash(f"iptables -I {spoil}")
        try:
            lost, _ = await until(engine, judged("cms", State.UNKNOWN), within=60, what="not reached")
            assert "heartbeat in tutor_local:cms: can't be asked from its host" in lost.reason
        finally:
            await tutor.host.ash(f"iptables -D {spoil}")
        await until(engine, judged("cms", State.DEGRADED, "sql false"), within=60, what="reached again")
        await tutor.host.ash("docker exec tutor_local-cms-1 busybox killall httpd")
        dead, _ = await until(engine, judged("cms", State.DOWN), within=30, what="nothing listens")
        assert dead.reason.endswith(f"nothing listens on {address}:8000, inside its container")
    await tutor.host.ash("docker rm -f tutor_local-cms-1")


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
    await asyncio.to_thread(tutor.run, "forum", SERVE.replace("8000", "4567"), "--restart=unless-stopped")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found("tutor_local:forum", UnitHealth.RUNNING), within=40, what="forum healthy")
        with pytest.raises(UsageError, match="nothing in its container reloads it"):
            await engine.draft(Verb.RELOAD, "forum@tutor")
        plan = await engine.draft(Verb.RESTART, "forum@tutor")
        assert plan.steps[0].command == "docker restart tutor_local-forum-1"
        events = await run(engine, plan)
        assert {e.gate.level for e in events if e.gate and e.gate.passed} == {GateLevel.L0, GateLevel.L2}
        told = [e.gate.evidence for e in events if e.gate and e.gate.level is GateLevel.L2 and e.gate.passed]
        assert told[-1].startswith("heartbeat in tutor_local:forum: /heartbeat answers 200")
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


async def test_tutors_reload_is_run_in_the_container(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    """Its image has Tutor's reload-uwsgi, which sends HUP to process 1."""
    name = "reloaded:cms"
    await asyncio.to_thread(tutor.run, "cms", MASTER, project="reloaded")
    async with watched(tutor, module_lab, tmp_path) as engine:
        before, _ = await until(engine, found(name, UnitHealth.RUNNING), within=40, what="it runs")
        plan = await engine.draft(Verb.RELOAD, "cms@tutor")
        assert plan.steps[0].command == "docker exec reloaded-cms-1 reload-uwsgi"
        events = await run(engine, plan)
        said = [event.text for event in events]
        assert "reload-uwsgi ended with status 0: Reloading uwsgi process..." in said
        passed = {e.gate.level: e.gate.evidence for e in events if e.gate and e.gate.passed}
        assert set(passed) == {GateLevel.L0, GateLevel.L2}
        assert passed[GateLevel.L0].startswith(f"same process {before.identity.pid}, 1 new workers")
        assert (await engine.manager("tutor", "docker").observe(name)).identity == before.identity
        await tutor.host.ash("docker exec reloaded-cms-1 busybox rm /bin/reload-uwsgi")
        with pytest.raises(ActFailed, match=r"reload-uwsgi ended with status 12[67]: .*not found"):
            await run(engine, await engine.draft(Verb.RELOAD, "cms@tutor"))
        # As `compose up` does: the same name and labels, another container.
        plan = await engine.draft(Verb.RELOAD, "cms@tutor")
        await tutor.host.ash("docker rm -f reloaded-cms-1")
        await asyncio.to_thread(tutor.run, "cms", MASTER, project="reloaded")
        with pytest.raises(IdentityDrift):
            await run(engine, plan)
    await tutor.host.ash("docker rm -f reloaded-cms-1")


async def test_a_crash_loop_and_memory_that_ran_out_are_said(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    def begin() -> None:
        tutor.run("credentials", "sh -c 'exit 1'", "--restart=unless-stopped", project="bad")
        eats = "sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'"
        tutor.run("minio", eats, "--memory=8m", "--memory-swap=8m", project="bad")

    await asyncio.to_thread(begin)
    async with watched(tutor, module_lab, tmp_path) as engine:

        def looping(snapshot: ClusterSnapshot) -> Unit | None:
            one = unit(snapshot.hosts["tutor"], "bad:credentials")
            return one if one and one.container and one.container.restarts >= 4 else None

        loop, _ = await until(engine, looping, within=40, what="Docker restarts it again and again")
        shown = instance(engine.snapshot.hosts["tutor"], "credentials")
        assert shown is not None
        assert shown.state in (State.DOWN, State.DEGRADED)
        assert "restart" in shown.reason
        await until(
            engine,
            lambda s: (u := unit(s.hosts["tutor"], "bad:credentials")) and u.word == "restarting (1)",
            within=40,
            what="between two tries",
        )
        shown = instance(engine.snapshot.hosts["tutor"], "credentials")
        assert shown is not None
        assert any("in a crash loop, restarted" in e.text for e in shown.evidence), shown
        eaten, _ = await until(
            engine,
            lambda s: u if (u := unit(s.hosts["tutor"], "bad:minio")) and u.word == "exited (137)" else None,
            within=40,
            what="the kernel killed it",
        )
        told = (await asyncio.to_thread(tutor.inspect, "bad-minio-1"))["State"]
        assert eaten.container is not None
        assert (eaten.container.oom_killed, eaten.container.exit_code) == (told["OOMKilled"], 137)
        if told["OOMKilled"]:  # Docker learns of it only where containerd can read the kernel's cgroups
            assert eaten.health is UnitHealth.FAILED
            assert "out of memory: the kernel killed a process of it" in eaten.detail
        assert loop.container is not None
        assert loop.container.policy == "unless-stopped"
        found_of = await engine.inspect("tutor", "credentials")
        assert any("Docker has restarted it" in f.text for f in found_of.findings)
    await tutor.host.ash("docker rm -f bad-credentials-1 bad-minio-1")


async def test_what_a_container_uses_is_measured_when_it_is_looked_at(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """By Docker, or, where it can't read its kernel's cgroups, from /proc."""
    busy = "sh -c 'while :; do :; done'"
    await asyncio.to_thread(tutor.run, "mfe", busy, "--cpus=0.2", project="busy")
    async with watched(tutor, module_lab, tmp_path) as engine:
        await until(engine, found("busy:mfe", UnitHealth.RUNNING), within=40, what="it runs")
        for _ in range(10):
            seen = await engine.inspect("tutor", "mfe")
            facts = {f.name: f.value for f in seen.section("container busy:mfe").facts}
            if facts["cpu_percent"]:
                break
            await asyncio.sleep(1)
        assert not seen.missing
        assert isinstance(facts["cpu_percent"], float)
        assert 0 < facts["cpu_percent"] < 80
        assert facts["processes"] == 1
        assert int(str(facts.get("memory_bytes") or facts["resident_bytes"])) > 4096
        assert facts["image"] == "overhangio/openedx:22.0.3-lab"
        hosts = await asyncio.to_thread(module_lab.hosts_yaml, module_lab.inventory([tutor.host]))
        command = [sys.executable, "-m", "edxconsole", "status", "mfe@tutor", "--json", "--hosts", str(hosts)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        (shown,) = json.loads((await process.communicate())[0])["containers"]
        assert (shown["name"], shown["state"], shown["component"]) == ("busy:mfe", "running", "mfe")
        assert shown["container"] | {"id": ""} == {
            "id": "", "image": "overhangio/openedx:22.0.3-lab", "status": "running", "health": "",
            "exit_code": None, "oom_killed": False, "restarts": 0, "restart_policy": "no",
        }  # fmt: skip
    await tutor.host.ash("docker rm -f busy-mfe-1")


async def test_a_restart_is_finished_after_we_have_left(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """The console ends in the middle of it, and its connection with it."""
    slow = """sh -c 'trap "sleep 4; exit 0" TERM; while :; do sleep 0.2; done'"""
    await asyncio.to_thread(tutor.run, "xqueue-consumer", slow, project="left")
    async with watched(tutor, module_lab, tmp_path) as engine:
        name = "left:xqueue-consumer"
        before, _ = await until(engine, found(name, UnitHealth.RUNNING), within=40, what="it runs")
        manager = DockerManager(engine.transport("tutor"), CATALOG)
        permit = Permit("plan", "tutor", name, Verb.RESTART, before.identity)
        acting = asyncio.create_task(manager.act(name, Verb.RESTART, permit=permit, deadline=60.0))
        await asyncio.sleep(1.5)
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)
        await manager.close()

    def state() -> dict[str, object]:
        told: dict[str, object] = tutor.inspect("left-xqueue-consumer-1")["State"]
        return told

    for _ in range(120):
        now = await asyncio.to_thread(state)
        if now["Running"] and now["Pid"] != before.identity.pid:
            break
        await asyncio.sleep(0.5)
    assert (now["Running"], now["Pid"] != before.identity.pid) == (True, True), now
    await tutor.host.ash("docker rm -f -v left-xqueue-consumer-1")


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
