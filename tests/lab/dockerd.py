"""A real dockerd on a test host, with containers labelled as docker compose labels Tutor's.

No registry is needed: the one image is busybox with the libraries it wants, imported on the host, with
stand-ins of the programs that Tutor's compose file names.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import Any

from tests.lab.host import LabError, LabHost
from tests.lab.needs import COMPOSE

OTHER = os.environ.get("EDXCONSOLE_LAB_DOCKERD", "")
"""a directory with another dockerd and containerd, to run the same tests with that version"""
IMAGE = "overhangio/openedx:22.0.3-lab"
PROJECT = "tutor_local"
SOCKET = "/var/run/docker.sock"

_CGROUPS = r"""
mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
controllers=$(awk '$2 > 0 && $4 == 1 {print $1}' /proc/cgroups)
[ -n "$controllers" ] || exec mount -t cgroup2 cgroup2 /sys/fs/cgroup
for c in $controllers; do
    mkdir /sys/fs/cgroup/$c
    mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
done
mkdir -p /var/lib/docker
mount -t tmpfs -o size=256m tmpfs /var/lib/docker
"""

_IMAGE = rf"""
set -e
root=$(mktemp -d)
mkdir -p $root/bin $root/tmp $root/etc
cp $(command -v busybox) $root/bin/busybox
for library in $(ldd $root/bin/busybox | grep -o '/[^ ]*'); do
    mkdir -p $root$(dirname $library)
    cp -L $library $root$library
done
for applet in sh sleep httpd seq cat printf; do ln -s busybox $root/bin/$applet; done
printf '#!/bin/sh\necho "Reloading uwsgi process..."\nkill -HUP 1\n' >$root/bin/reload-uwsgi
chmod 755 $root/bin/reload-uwsgi
for program in mongod mysqld redis-server celery serve; do
    printf '#!/bin/sh\ntrap "exit 0" TERM\necho "$0 $*"\nwhile :; do sleep 1; done\n' >$root/bin/$program
    chmod 755 $root/bin/$program
done
tar -C $root -c . | docker import --change 'CMD ["serve"]' - {IMAGE}
rm -r $root
"""


class Dockerd:
    """The Docker of one host. All methods block: call them in a thread where a loop runs."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self._parent = f"/edxlab-{host.pid}"

    def prepare(self) -> None:
        """What a host needs once; then start(), and the image."""
        self.host.sh(_CGROUPS)
        self.start()
        self.host.sh(_IMAGE)

    def start(self) -> None:
        """Start dockerd; returns when it answers."""
        self.host.sh("rm -f /var/run/docker.pid")
        network = "--live-restore --bip 10.90.0.1/24 --default-address-pool base=10.91.0.0/16,size=24"
        own = f"env PATH={OTHER}:$PATH " if OTHER else ""
        self.host.spawn(f"{own}dockerd {network} --cgroup-parent {self._parent} >/run/dockerd.log 2>&1")
        deadline = time.monotonic() + 60
        while not self.host.sh("docker version -f '{{.Server.Version}}' 2>/dev/null", check=False).strip():
            if time.monotonic() > deadline:
                raise LabError(self.host.sh("tail -5 /run/dockerd.log", check=False))
            time.sleep(0.1)

    def kill(self) -> None:
        """End dockerd at once; its containers go on."""
        self.host.sh("kill -9 $(cat /var/run/docker.pid)")

    def close(self) -> None:
        """End every container, and leave no cgroup of theirs behind."""
        self.host.sh("docker ps -aq | xargs -r docker rm -f", check=False)
        self.host.sh("kill $(cat /var/run/docker.pid); sleep 0.5", check=False)
        self.host.sh(
            f"find /sys/fs/cgroup -depth -path '*{self._parent}*' -type d -exec rmdir {{}} +", check=False
        )

    def run(
        self,
        service: str,
        command: str,
        *options: str,
        number: int = 1,
        one_off: bool = False,
        project: str = PROJECT,
    ) -> str:
        """Start a container as `docker compose up` (or `run`) would; its id."""
        tail = "run-1a2b" if one_off else str(number)
        labels = {
            "project": project,
            "service": service,
            "container-number": str(number),
            "oneoff": str(one_off),
            "version": "2.26.1",
            "project.working_dir": "/home/tutor/env/local",
        }
        flags = [f"--label=com.docker.compose.{key}={value}" for key, value in labels.items()]
        argv = ["docker", "run", "-d", f"--name={project}-{service}-{tail}", *flags, *options, IMAGE]
        return self.host.sh(f"{shlex.join(argv)} {command}").strip()

    def compose(self, directory: str, words: str, *, project: str = PROJECT) -> str:
        """What docker compose 2 prints, as Tutor calls it in the root of its project."""
        files = "-f env/local/docker-compose.yml -f env/local/docker-compose.prod.yml"
        command = f"{COMPOSE} {files} --project-name {project} {words} 2>&1"
        return self.host.sh(f"cd {directory} && {command}", timeout=120)

    def inspect(self, name: str) -> Any:
        """What Docker itself says of a container."""
        return json.loads(self.host.sh(f"docker inspect {name}"))[0]
