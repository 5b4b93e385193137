"""Boot a test host under a real systemd (image: tools/install_test_needs.py)."""

from __future__ import annotations

import json
import subprocess
import sys

from edxconsole.demo.namespaces import HostBox
from tests.lab import needs, network
from tests.lab.host import REPOSITORY, HostOptions, LabError, LabHost
from tests.lab.lab import Lab

NEEDS = ("root", "namespaces", "systemd-nspawn", "systemd-image")
UNITS = ("nginx", "memcached", "redis-server", "cron", "rsyslog", "ssh")
"""what the image starts"""

PREPARE = """\
useradd -m -u 1999 -s /bin/bash ops
usermod -p '*' ops
mkdir -p ~ops/.ssh
mv /run/authorized_keys ~ops/.ssh/
chown -R ops:ops ~ops
echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/lab
chmod 440 /etc/sudoers.d/lab
"""

SSHD = """\
HostKey /etc/ssh/lab_host_key
UseDNS no
PrintMotd no
"""


def boot_systemd(lab: Lab, name: str = "sys1") -> LabHost:
    """A host with systemd as process 1; returns when sshd answers and the boot has finished."""
    address = network.address()
    host = LabHost(
        name=name,
        address=address,
        user="ops",
        key=lab.key,
        known_hosts=lab.known_hosts,
        directory=lab.directory,
        net=lab.net,
        peers={name: address},
        options=HostOptions(),
    )
    spec = {
        "name": name,
        "address": address,
        "image": str(needs.SYSTEMD_IMAGE),
        "size_mib": 512,
        "files": {
            "/etc/hostname": (f"{name}\n", 0o644),
            "/etc/hosts": (f"127.0.0.1 localhost\n{address} {name}\n", 0o644),
            "/etc/ssh/lab_host_key": (host.host_key(), 0o600),
            "/etc/ssh/sshd_config.d/lab.conf": (SSHD, 0o644),
            "/run/authorized_keys": (lab.key.with_suffix(".pub").read_text(), 0o600),
            "/run/prepare.sh": (PREPARE, 0o644),
        },
    }
    with (lab.directory / f"{name}.log").open("w") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.systemd_keeper"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    keeper.stdin.write(json.dumps(spec).encode() + b"\n")
    keeper.stdin.flush()
    answer = json.loads(keeper.stdout.readline() or b"{}")
    keeper.stdout.close()
    if "pid" not in answer:
        said = (lab.directory / f"{name}.log").read_text()[-2000:]
        raise LabError(f"{name} did not boot: {answer.get('error', '')} {said}")
    host.plug_in(HostBox(host.spec(), answer["pid"], keeper))
    lab.adopt(host)
    host.wait_ssh(60)
    host.sh("systemctl is-system-running --wait || systemctl --failed --no-legend >&2", timeout=60)
    return host
