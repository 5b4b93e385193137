"""The test hosts themselves: what the other tests build on is true."""

from __future__ import annotations

import pytest

from tests.lab.host import LabHost
from tests.lab.lab import Lab

pytestmark = [pytest.mark.hosts, pytest.mark.root]


def test_a_host_is_a_machine_of_its_own(lab: Lab) -> None:
    """Own name, processes, listeners and files."""
    one, two = lab.hosts(2)
    assert one.ssh("hostname; whoami").stdout.split() == ["h1", "ops"]
    one.sh("touch /etc/mark")
    one.spawn("sleep 12345")
    assert "sleep 12345" in one.sh("ps -eo args")
    assert "sleep 12345" not in two.sh("ps -eo args")
    assert two.sh("ls /etc/mark", check=False) == ""
    listening = {line.split()[3] for line in one.sh("ss -tlnH").splitlines()}
    assert listening == {"0.0.0.0:22", "[::]:22"}


def test_hosts_reach_each_other_by_name(lab: Lab) -> None:
    one, _ = lab.hosts(2)
    greeting = one.ssh("exec 3<>/dev/tcp/h2/22; head -c 4 <&3")
    assert greeting.stdout == "SSH-"


def test_the_host_key_is_pinned(host: LabHost) -> None:
    """ssh asks nothing, and refuses once the pin is another host's."""
    assert host.ssh("true").returncode == 0
    pinned = host.known_hosts.read_text()
    host.known_hosts.write_text("")
    refused = host.ssh("true")
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr
    host.known_hosts.write_text(pinned)


@pytest.mark.needs("sudo")
def test_sudo_is_there_or_not(lab: Lab) -> None:
    assert lab.host("free").ssh("sudo -n id -u").stdout.strip() == "0"
    refused = lab.host("bound", sudo=False).ssh("sudo -n id -u")
    assert refused.returncode == 1
    assert "a password is required" in refused.stderr
