"""The test hosts themselves: what the other tests build on is true."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.lab.host import REPOSITORY, LabHost
from tests.lab.lab import Lab

pytestmark = pytest.mark.hosts


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


@pytest.mark.root
@pytest.mark.needs("sudo")
def test_sudo_is_there_or_not(lab: Lab) -> None:
    assert lab.host("free").ssh("sudo -n id -u").stdout.strip() == "0"
    refused = lab.host("bound", sudo=False).ssh("sudo -n id -u")
    assert refused.returncode == 1
    assert "a password is required" in refused.stderr


async def test_a_frozen_host_accepts_and_says_nothing(host: LabHost) -> None:
    host.freeze()
    reader, writer = await asyncio.open_connection(host.address, 22)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(4), 0.5)
    host.thaw()
    assert await asyncio.wait_for(reader.read(4), 10) == b"SSH-"
    writer.close()
    await writer.wait_closed()


@pytest.mark.needs("iptables")
async def test_dropped_packets_are_silence_and_refusal_is_not(host: LabHost) -> None:
    host.drop()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.open_connection(host.address, 22), 0.5)
    host.undrop()
    host.refuse_ssh()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(asyncio.open_connection(host.address, 22), 10)
    host.accept_ssh()
    host.wait_ssh()


def test_a_killed_host_comes_back_as_the_same(host: LabHost) -> None:
    before = host.box.pid
    host.kill()
    assert not Path(f"/proc/{before}").exists()
    host.boot()
    host.wait_ssh()
    assert host.ssh("hostname").stdout.strip() == host.name


@pytest.mark.root
def test_a_host_can_lack_things(lab: Lab) -> None:
    odd = lab.host("odd", without=["/usr/bin/python3*", "/usr/local/bin/python3*"], disk_mib=64)
    assert odd.ssh("command -v python3").returncode != 0
    size = int(odd.sh("df -k --output=size / | tail -n 1"))
    assert size == 64 * 1024


@pytest.mark.root
@pytest.mark.needs("openssl")
def test_a_password_lets_in(lab: Lab) -> None:
    """sshd offers the methods; that the password is right is seen through su's own check."""
    odd = lab.host("odd", password="correct horse")
    refused = odd.ssh_argv("-o", "PubkeyAuthentication=no", "-o", "BatchMode=yes")
    said = subprocess.run([*refused, "true"], capture_output=True, text=True, timeout=20)
    assert "publickey,password,keyboard-interactive" in said.stderr
    hashed = odd.sh("getent shadow ops").split(":")[1]
    salt = hashed.split("$")[2]
    again = odd.sh(f"openssl passwd -6 -salt '{salt}' 'correct horse'").strip()
    assert hashed == again


MAKER = """
import sys, time
from pathlib import Path
from tests.lab import network
from tests.lab.lab import Lab
from tests.lab.systemd import boot_systemd
network.prepare()
lab = Lab(network.enter(), Path(sys.argv[1]))
for host in [boot_systemd(lab)] if sys.argv[2] == "systemd" else lab.hosts(2):
    host.spawn("sleep 54321")
    print(host.pid, flush=True)
print("up", flush=True)
time.sleep(60)
"""


def make_and_kill(directory: Path, kind: str) -> set[str]:
    """Have a process make hosts, kill it with SIGKILL; the hosts' pid namespaces."""
    argv = [sys.executable, "-c", MAKER, str(directory), kind]
    maker = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    with maker.stdout:
        pids = [int(line) for line in itertools.takewhile(lambda line: line != "up\n", maker.stdout)]
    assert pids
    namespaces = {os.readlink(f"/proc/{pid}/ns/pid") for pid in pids}
    assert len(processes_in(namespaces)) >= 3 * len(pids)
    maker.kill()
    maker.wait()
    return namespaces


def soon_empty(what: Callable[[], Sequence[object]], limit: float = 15.0) -> Sequence[object]:
    """What is left of it at the end of the limit, or nothing as soon as nothing is left."""
    deadline = time.monotonic() + limit
    while (left := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def processes_in(namespaces: set[str]) -> list[int]:
    """Who is in any of these pid namespaces."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and os.readlink(f"/proc/{name}/ns/pid") in namespaces:
                found.append(int(name))
    return found


def test_nothing_is_left_after_a_kill(tmp_path: Path) -> None:
    """Hosts, what runs on them, links and mounts go with the process that made them, even by SIGKILL."""
    namespaces = make_and_kill(tmp_path, "plain")
    assert not soon_empty(lambda: processes_in(namespaces))
    assert "br0" not in Path("/proc/1/net/dev").read_text()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.mark.systemd
def test_nothing_is_left_of_systemd_either(tmp_path: Path) -> None:
    """Its control groups have names, which someone must take away."""
    before = set(lab_cgroups())
    namespaces = make_and_kill(tmp_path, "systemd")
    assert not soon_empty(lambda: processes_in(namespaces))
    assert not soon_empty(lambda: sorted(set(lab_cgroups()) - before))


def lab_cgroups() -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob("*/edxlab.*"), *Path("/sys/fs/cgroup").glob("edxlab.*")]
