"""The classic Open edX cluster on four test hosts: web, app1, app2 and data."""

from __future__ import annotations

import http.client
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edxconsole.inventory.model import Inventory
from tests.lab.host import HostOptions, LabError, LabHost
from tests.lab.lab import Lab

ROLES = Path(__file__).with_name("roles")
NEEDS = ("root", "sudo", "nginx", "memcached", "redis-server", "mariadbd")
NEEDS_FULL = (*NEEDS, "rabbitmq-server")

SETTLED = {"RUNNING", "EXITED"}
"""words of supervisorctl for programs that are as they shall be (xqueue_consumer of app2 has ended)"""

EXPECT = {
    "web": ["nginx"],
    "app": ["lms", "cms", "xqueue", "edxapp_worker", "supervisor"],
    "data": ["mysql", "mongodb", "memcached"],
}
"""group or host -> component ids, for the inventory"""


@dataclass(frozen=True, slots=True)
class LabCluster:
    """A cluster that is up. Shared by tests: what one breaks, it mends."""

    lab: Lab
    web: LabHost
    app1: LabHost
    app2: LabHost
    data: LabHost
    broker: bool
    """RabbitMQ runs on `data`, and the workers use it"""

    @property
    def hosts(self) -> tuple[LabHost, ...]:
        return (self.web, self.app1, self.app2, self.data)

    def inventory(self) -> Inventory:
        """The four hosts, the group `app`, and what is expected where."""
        return self.lab.inventory(self.hosts, groups={"app": ["app1", "app2"]}, expect=EXPECT)

    def heartbeat(self) -> tuple[int, str]:
        """Status and body of the LMS's /heartbeat through nginx."""
        connection = http.client.HTTPConnection(self.web.address, 80, timeout=10)
        try:
            connection.request("GET", "/heartbeat")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def programs(self, host: LabHost) -> dict[str, str]:
        """What `supervisorctl status` says there: namespec -> state word."""
        lines = host.sh("/edx/bin/supervisorctl status", check=False).splitlines()
        return {parts[0]: parts[1] for line in lines if len(parts := line.split()) >= 2}

    def wait_up(self, limit: float) -> None:
        """Until the heartbeat is well and every program is as it shall be. Raises LabError."""
        deadline = time.monotonic() + limit
        while (trouble := self._trouble()) is not None:
            if time.monotonic() > deadline:
                raise LabError(f"the cluster is not up after {limit:.0f} s: {trouble}")
            time.sleep(0.2)

    def start_broker(self) -> None:
        """Start a RabbitMQ that ended, as the role of `data` did. See wait_up."""
        self.data.sh(
            "HOME=/var/lib/rabbitmq setsid -f rabbitmq-server >>/var/log/rabbitmq/stdout.log 2>&1 </dev/null"
        )

    def _trouble(self) -> str | None:
        try:
            status, body = self.heartbeat()
        except OSError as error:
            return f"heartbeat: {error}"
        if status != 200:
            return f"heartbeat: {status} {body}"
        if self.broker and ":5672 " not in self.data.sh("ss -tlnH"):
            return f"no RabbitMQ yet: {self.data.boot_log()}"
        for host in (self.app1, self.app2):
            programs = self.programs(host)
            unsettled = {name: word for name, word in programs.items() if word not in SETTLED}
            if unsettled or len(programs) < 6:
                return f"{host.name}: {unsettled or programs or 'no supervisord'}; {host.boot_log()}"
        return None


def start_cluster(lab: Lab, *, rabbit: bool = False) -> LabCluster:
    """Boot the four hosts and wait until the cluster is up.

    Without `rabbit` the workers' broker is a directory, and it is up in about 5 s; with it, 20 s.
    """
    venv = sys.prefix
    broker = "amqp://celery:celery@data:5672//" if rabbit else "filesystem://"
    app = {"VENV": venv, "BROKER": broker}
    hosts = lab.boot(
        {
            "data": _role("data", VENV=venv, RABBIT=str(int(rabbit))),
            "app1": _role("app", **app, SUPERVISOR_AS="www-data", CONSUMER="push"),
            "app2": _role("app", **app, SUPERVISOR_AS="root", CONSUMER="none"),
            "web": _role("web"),
        }
    )
    cluster = LabCluster(lab, **hosts, broker=rabbit)
    cluster.wait_up(90)
    return cluster


SERVICES = {
    "web": ("nginx",),
    "app": (),
    "data": ("mariadb", "memcached", "redis-server"),
}
"""role -> its SysV scripts"""


def _role(name: str, **environment: str) -> HostOptions:
    services = SERVICES[name] + (("rabbitmq-server",) if environment.get("RABBIT") == "1" else ())
    return HostOptions(script=ROLES / f"{name}.sh", environment=environment, services=services, disk_mib=1024)
