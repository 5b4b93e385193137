"""Whose Docker socket may be opened, and what one that stalls does: one sentence, nothing else is late."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edxconsole.cluster.model import ClusterSnapshot, Link
from edxconsole.cluster.units import UnitHealth
from edxconsole.logs.model import LogSource
from tests.lab.dockerd import Dockerd
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import Log
from tests.lab.tutor import HOST, SERVE, found, tutor_host, watched
from tests.lab.watching import until, watching

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox", "socat"),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    """Shared: each test has services of its own."""
    with tutor_host(module_lab) as docker:
        yield docker


def called_dockerd(host: LabHost, endpoints: str, *, user: str = "root") -> None:
    """A socat that is seen as a dockerd of this user, and listens where `endpoints` says."""
    host.sh("mkdir -p /opt/lab; cp $(command -v socat) /opt/lab/dockerd; chmod 755 /opt/lab/dockerd")
    command = f"/opt/lab/dockerd {endpoints}"
    host.spawn(command if user == "root" else f"su {user} -s /bin/sh -c {shlex.quote('exec ' + command)}")


async def test_a_socket_that_accepts_and_never_answers(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("stalls")
    listen = "UNIX-LISTEN:/var/run/docker.sock,fork,mode=666,unlink-early"
    await asyncio.to_thread(called_dockerd, host, f"{listen} EXEC:'sleep 10000'")
    await host.ash("i=0; until [ -S /var/run/docker.sock ] || [ $i = 100 ]; do sleep 0.1; i=$((i+1)); done")
    async with watching(lab.inventory(), tmp_path) as engine:
        assert engine.snapshot.hosts["stalls"].link is Link.LIVE

        def told(snapshot: ClusterSnapshot) -> str | None:
            return next((n for n in snapshot.hosts["stalls"].notes if "Containers" in n), None)

        note, _ = await until(engine, told, within=40, what="a note")
        assert note.startswith("Containers are unknown: Docker at unix:/var/run/docker.sock: no whole answer")
        assert note.endswith("see whether dockerd is stuck.")
        # All else is seen meanwhile, and a log of it is refused in a sentence as well.
        host.spawn("sleep 4321")
        await until(
            engine,
            lambda s: any("4321" in p.argv for p in s.hosts["stalls"].processes.values()),
            within=40,
            what="a new process of the host",
        )
        log = Log()
        await engine.follow([LogSource("stalls", "docker:tutor_local:lms", name="lms")], log.feed)
        await log.until(lambda g: any(b.why for b in g.read()), within=40, what="a sentence")
        (why,) = {b.why for b in log.read()}
        assert "see whether dockerd is stuck" in why
        capabilities = await asyncio.wait_for(engine.capabilities("stalls"), 40)
        assert "docker" not in capabilities
        assert capabilities, "the other managers are told"


async def test_the_line_of_edxconsole_sudoers_is_enough(
    tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """Not in the group docker, and sudo allows the one command only."""
    hosts = await asyncio.to_thread(
        module_lab.hosts_yaml, module_lab.inventory([tutor.host], expect={HOST: ["caddy"]}, become=None)
    )
    argv = [sys.executable, "-m", "edxconsole", "sudoers", f"@{HOST}", "--hosts", str(hosts)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    printed = (await process.communicate())[0].decode()
    # A rule that equals root is printed as a comment: to allow it is a decision of its own.
    rules = [line.removeprefix("# ") for line in printed.splitlines() if "docker.sock" in line]
    assert rules, printed
    lines = "\n".join(rules)
    await asyncio.to_thread(tutor.run, "caddy", SERVE)
    await tutor.host.ash("gpasswd -d ops docker; mv /etc/sudoers.d/lab /root/lab")
    await tutor.host.ash(
        f"printf '%s\\n' {shlex.quote(lines)} >/etc/sudoers.d/edxconsole; chmod 440 /etc/sudoers.d/edxconsole"
    )
    await tutor.host.ash("visudo -cf /etc/sudoers.d/edxconsole")
    try:
        async with watched(tutor, module_lab, tmp_path) as engine:
            await until(
                engine, found("tutor_local:caddy", UnitHealth.RUNNING), within=40, what="seen through sudo"
            )
            log = Log()
            await engine.follow(engine.log_sources([HOST], ["caddy"]), log.feed)
            await log.until(lambda g: "start" in [b.mark for b in g.read()], within=40, what="its log")
    finally:
        await tutor.host.ash(
            "rm -f /etc/sudoers.d/edxconsole; mv /root/lab /etc/sudoers.d/lab; usermod -aG docker ops;"
            " docker rm -f tutor_local-caddy-1"
        )


@pytest.fixture
def rootless(module_lab: Lab) -> LabHost:
    return module_lab.host("rootless")


async def test_a_rootless_dockerd_of_the_login_is_found(
    rootless: LabHost, tutor: Dockerd, module_lab: Lab, tmp_path: Path
) -> None:
    """A process of the login's own that is called dockerd, and its socket under /run/user; what answers
    behind it is the real one, as a whole rootless Docker can't be run in these hosts."""
    host = rootless
    await host.ash("mkdir -p /run/user/$(id -u ops); chown ops /run/user/$(id -u ops)")
    uid = (await host.ash("id -u ops")).strip()
    await asyncio.to_thread(tutor.run, "elasticsearch", SERVE)
    relay = f"TCP:{tutor.host.address}:2375"
    tutor.host.spawn("socat TCP-LISTEN:2375,fork,reuseaddr UNIX-CONNECT:/var/run/docker.sock")
    listen = f"UNIX-LISTEN:/run/user/{uid}/docker.sock,fork"
    await asyncio.to_thread(called_dockerd, host, f"{listen} {relay}", user="ops")
    inventory = await asyncio.to_thread(module_lab.inventory, [host])
    async with watching(inventory, tmp_path) as engine:

        def seen(snapshot: object) -> bool:
            units = engine.snapshot.hosts["rootless"].units
            one = units.get("docker/tutor_local:elasticsearch")
            return one is not None and one.health is UnitHealth.RUNNING

        await until(engine, seen, within=40, what="its containers")
        capabilities = (await engine.capabilities("rootless"))["docker"]
        assert capabilities.route.startswith(f"unix:/run/user/{uid}/docker.sock (direct-streamlocal)")
    await tutor.host.ash("docker rm -f tutor_local-elasticsearch-1")
