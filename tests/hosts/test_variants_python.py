"""Hosts with one old Python or none, and with login shells that are odd or talk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.cluster.model import State
from tests.lab import needs, small, truth
from tests.lab.lab import Lab
from tests.lab.small import Log, small_host, ticks
from tests.lab.watching import instance, ports, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached"), pytest.mark.timeout(120)]

NO_PYTHON = ["/usr/bin/python*", "/usr/local/bin/python*", "/usr/libexec/platform-python"]
TALKS = r"""
cat >/home/ops/.bashrc <<'RC'
seq 1 1000 | sed 's/^/Welcome to this host, line /'
printf '{"k":"beat"}\n{"edxprob\n'
printf '\033[31mred\033[0m \377\376\n'
echo complaints >&2
sleep 0.5
alias python3=false
python3() { echo no; }
export PYTHONSTARTUP=/nonexistent PYTHONPATH=/nonexistent LC_ALL=de_DE.UTF-8 LANG=xx
RC
echo 'Authorized use only' >/etc/issue.net
"""
SHELL = "usermod -s {shell} ops"


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.13"])
async def test_one_python_of_this_version_is_enough(lab: Lab, tmp_path: Path, version: str) -> None:
    python = needs.python(version)
    if python is None:
        pytest.skip(f"left out: {needs.missing(f'python{version}')}")
    name = "python2.7" if version == "2.7" else "python3"
    options = small_host(prepare=f"ln -s {python.resolve()} /usr/bin/{name}", without=NO_PYTHON)
    host = lab.boot({"old": options})["old"]
    async with watching(lab.inventory(), tmp_path) as engine:
        await small.all_work(engine, host)
        said = await engine.transport(host.name).run(["echo", "one"], timeout=10)
        assert said.stdout == b"one\n", "a command's output is its own, whatever the login shell says first"
        seen = engine.snapshot.hosts["old"]
        assert seen.python.startswith(version)
        assert not seen.shell_probe
        true = await asyncio.to_thread(truth.listeners, host)
        rows = [row for row in seen.listeners if row.proto.startswith("tcp")]
        assert {(row.address, row.port) for row in rows} == set(true)
        assert {row.how for row in rows} == {"owner"}


async def test_a_python_in_an_unusual_place_is_named_in_the_inventory(lab: Lab, tmp_path: Path) -> None:
    options = small_host(
        prepare="mkdir -p /opt/x && mv /usr/bin/python3.11 /opt/x/py", without=["/usr/bin/python3"]
    )
    lab.boot({"odd": options})
    async with watching(lab.inventory(python="/opt/x/py"), tmp_path) as engine:
        seen = await small.is_live(engine, "odd")
        assert not seen.shell_probe
        await small.programs_seen(engine, "odd")


@pytest.mark.parametrize("shell", ["dash", "busybox"])
async def test_without_python_sh_watches(lab: Lab, tmp_path: Path, shell: str) -> None:
    """Ports, processes, vitals and logs; what it can't see is said, and nothing is called down."""
    link = f"ln -sf $(command -v {shell})"
    prepare = f"{link} /bin/sh; {link} /bin/ash; usermod -s /bin/ash ops"
    host = lab.boot({"bare": small_host(prepare=prepare, without=NO_PYTHON)})["bare"]
    async with watching(lab.inventory(), tmp_path) as engine:
        seen = await small.is_live(engine, "bare")
        assert seen.shell_probe
        assert any("no Python" in note and "install python3" in note for note in seen.notes)
        assert {22, 11211} <= ports(seen)
        assert "memcached" in {p.comm for p in seen.processes.values()}
        cache = instance(seen, "memcached")
        assert cache is not None
        assert cache.state is State.UP
        assert not [i for i in seen.instances if i.state is State.DOWN]
        assert seen.vitals is not None
        log = Log()
        await engine.follow([ticks("bare")], log.feed)
        await log.until(lambda g: len(g.lines(ticks("bare").path)) > 20)
        small.consecutive(log.lines(ticks("bare").path))
        await host.ash("pkill memcached")
        await until(engine, lambda s: 11211 not in ports(s.hosts["bare"]), within=30, what="the port closed")
        gone = instance(engine.snapshot.hosts["bare"], "memcached")
        assert gone is None or gone.state is not State.UP


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(TALKS, id="bash-that-talks"),
        pytest.param(SHELL.format(shell="/bin/dash"), id="dash"),
        pytest.param("ln -s $(command -v busybox) /bin/ash; " + SHELL.format(shell="/bin/ash"), id="ash"),
        pytest.param(SHELL.format(shell="/bin/tcsh"), id="tcsh", marks=pytest.mark.needs("tcsh")),
        pytest.param(SHELL.format(shell="/usr/bin/fish"), id="fish", marks=pytest.mark.needs("fish")),
    ],
)
async def test_login_shells(lab: Lab, tmp_path: Path, prepare: str) -> None:
    host = lab.boot({"odd": small_host(prepare=prepare, sshd={"Banner": "/etc/issue.net"})})["odd"]
    async with watching(lab.inventory(), tmp_path) as engine:
        await small.all_work(engine, host)
        said = await engine.transport(host.name).run(["echo", "one"], timeout=10)
        assert said.stdout == b"one\n", "a command's output is its own, whatever the login shell says first"
