"""sshd limits sessions or forbids forwarding: watching, logs, restarts and health go on all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxconsole.cluster.model import Link, State
from edxconsole.errors import EdxconsoleError
from tests.lab import small
from tests.lab.host import LabHost
from tests.lab.lab import Lab
from tests.lab.small import Log, small_host, ticks
from tests.lab.watching import ports, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.needs("memcached"), pytest.mark.timeout(120)]

NO_TCP = {"AllowTcpForwarding": "no"}
NO_UNIX = {"AllowStreamLocalForwarding": "no"}
NO_PYTHON = ["/usr/bin/python*", "/usr/local/bin/python*", "/usr/libexec/platform-python"]


@pytest.fixture(scope="module")
def hosts(module_lab: Lab) -> dict[str, LabHost]:
    return module_lab.boot(
        {
            "two": small_host(sshd={"MaxSessions": "2", **NO_TCP, **NO_UNIX, "LogLevel": "VERBOSE"}),
            "one": small_host(sshd={"MaxSessions": "1"}),
            "nounix": small_host(sshd=NO_UNIX),
            "notcp": small_host(inet=True, sshd=NO_TCP),
            "sealed": small_host(sshd=NO_TCP | NO_UNIX, without=NO_PYTHON),
        }
    )


@pytest.mark.parametrize("name", ["two", "nounix", "notcp"])
async def test_everything_works(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path, name: str
) -> None:
    host = hosts[name]
    async with watching(module_lab.inventory([host]), tmp_path) as engine:
        await small.all_work(engine, host)


async def test_without_python_or_forwarding_socat_relays(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path
) -> None:
    """Seen by the shell probe. Health is asked through socat, where there is one."""
    host = hosts["sealed"]
    async with watching(module_lab.inventory([host]), tmp_path) as engine:
        seen = await small.is_live(engine, host.name)
        assert seen.shell_probe
        assert 11211 in ports(seen)
        assert any("install python3" in note for note in seen.notes)
        evidence = await engine.check_health(host.name, "memcached")
        assert [e.state for e in evidence] == [State.UP], evidence
        log = Log()
        await engine.follow([ticks(host.name)], log.feed)
        await log.until(lambda g: len(g.lines(ticks(host.name).path)) > 20)


async def test_one_session_watches_and_says_what_more_would_need(
    module_lab: Lab, hosts: dict[str, LabHost], tmp_path: Path
) -> None:
    host = hosts["one"]
    async with watching(module_lab.inventory([host]), tmp_path) as engine:
        await small.is_live(engine, host.name)
        await small.programs_seen(engine, host.name)
        log = Log()
        await engine.follow([ticks(host.name)], log.feed)
        await log.until(lambda g: len(g.lines(ticks(host.name).path)) > 20)
        evidence = await engine.check_health(host.name, "memcached")
        assert [e.state for e in evidence] == [State.UP], evidence
        assert any("MaxSessions" in note for note in engine.snapshot.hosts[host.name].notes)
        with pytest.raises(EdxconsoleError, match="MaxSessions"):
            await small.restart(engine, host.name)
        assert engine.snapshot.hosts[host.name].link is Link.LIVE
