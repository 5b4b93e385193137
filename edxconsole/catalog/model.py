"""What Open edX is made of, as data: one Component per YAML file in `components/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Family = Literal["classic", "tutor", "both"]
DOCKER_GRACE = 10.0
"""seconds between TERM and KILL that Docker gives unless told"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ManagerEntry(_Model):
    """How service managers name it. Shell-style patterns, matched whole."""

    supervisor: tuple[str, ...] = ()
    """"lms", "edxapp:lms", "edxapp_worker:*" """
    systemd: tuple[str, ...] = ()
    """"nginx.service" """
    sysv: tuple[str, ...] = ()
    compose: tuple[str, ...] = ()


class Signature(_Model):
    """Recognise its processes by what their argv says they run (see catalog.argv), else by a comm.

    A name that ends with "*" means every name that begins so. No name may mean two components.
    """

    program: tuple[str, ...] = ()
    """name of the file or of the `python -m` module that is run: "mysqld" """
    wsgi: tuple[str, ...] = ()
    """application, or configuration file, of gunicorn or uwsgi: "lms.wsgi", "lms_gunicorn.py" """
    celery: tuple[str, ...] = ()
    """queue, node or application of a Celery worker, or the path it is run from: "edx.lms.core.*" """
    beat: tuple[str, ...] = ()
    """application or settings of a Celery beat: "lms.*" """
    django: tuple[str, ...] = ()
    """management command: "run_consumer" """
    argv: tuple[str, ...] = ()
    """for all else: regular expressions searched in the space-joined argv"""
    comm: tuple[str, ...] = ()
    master: str | None = None
    """argv regex of the one process to signal (gunicorn master), never a wrapper shell; where
    master and workers share an argv, the one whose parent does not match. That of gunicorn
    follows from `wsgi`."""

    def known(self) -> bool:
        """Whether any process is recognised by it."""
        return any((self.program, self.wsgi, self.celery, self.beat, self.django, self.argv, self.comm))

    @model_validator(mode="before")
    @classmethod
    def _gunicorn_master(cls, data: Any) -> Any:
        names = data.get("wsgi") if isinstance(data, dict) else None
        if not isinstance(names, list | tuple) or "master" in data:
            return data
        return {**data, "master": gunicorn_master([n for n in names if isinstance(n, str)])}


def gunicorn_master(names: Sequence[str]) -> str:
    """The argv of a gunicorn that serves one of these applications, unless its title says worker."""
    apps = "|".join(re.escape(name) for name in names)
    run = r"(?:(?:\S*/)?python[\d.]* (?:-\S+ )*)?(?:\S*/)?gunicorn[\d.]*"
    return rf"^(?:gunicorn: master \[(?:{apps})(?!\w)|{run} (?:.* )?(?:\S*[/=])?(?:{apps})(?!\w))"


class ListenerSpec(_Model):
    """A socket it should listen on. Without `unix` it is a TCP port."""

    name: str
    port: int | None = None
    unix: str | None = None
    address: str = ""
    """usual bind address, informative"""
    required: bool = True


class WorkerSpec(_Model):
    """How many worker processes are usual, e.g. expression "4*cores"."""

    expression: str = ""
    units: str = ""
    """instead: a regex whose group is a number in the name of each running unit, of which the sum is
    usual: edxapp_worker:lms_default_3 says so itself"""
    description: str = ""


class LogSpec(_Model):
    """A log file or glob on the host and the format its lines have (domain.md section 4)."""

    name: str
    path: str
    format: str
    personal: bool = False
    """holds personal data: never shown unless asked for"""


class HealthSpec(_Model):
    """One check. kind http: GET path on port with Host `host_header`; tcp: accepts; others: PING.

    With both `port` and `unix`, whichever the host has; kind nginx without a port: the lowest
    port that nginx listens on there; kind tls: its port that speaks TLS, for each of hosts.yaml's
    `sites:` or the one name `host_header`; kind absent: a file at `path` that should not be there.
    """

    name: str
    kind: Literal[
        "http", "nginx", "tls", "absent", "tcp", "memcached", "redis", "redis-queues", "mysql",
        "mysql-login", "amqp", "amqp-queues", "mongodb", "mongodb-status", "elasticsearch",
    ]  # fmt: skip
    port: int | None = None
    unix: str | None = None
    path: str = "/"
    host_header: str = ""
    expect_status: int = 200
    meaning: str = ""
    """what a pass proves, and what it does not"""
    proves: str = ""
    """said in the evidence of every pass, where a pass means less than it seems to"""
    level: Literal["L1", "L2", "L3"] = "L2"
    """L3: its answer names parts, or it is none"""
    every: float = Field(default=8.0, ge=2.0, le=86400.0)
    """seconds between two asks of it, about"""
    on_demand: bool = False
    """asked only when an operator says so: it costs, see `cost`"""
    cost: str = ""
    """what asking does to the host, in words, where that is worth saying"""
    gate: bool = True
    """whether an act must bring it back; False for what acts don't mend, and beside it for what is
    only said, not judged, where it can't be asked"""
    queues: tuple[str, ...] = ()
    """kind redis-queues: Celery's lists, domain.md section 3"""


class ActionSpec(_Model):
    """What a verb really does to this component, in words, and how it is done."""

    what: str
    method: Literal["manager", "hup-master", "none"] = "manager"
    """manager: the unit's own manager does it; hup-master: SIGHUP to Signature.master, after a
    re-check of pid and start time in the same host-side command; none: refused, `what` says why"""
    preflight: tuple[str, ...] = ()
    """argv of a check that must exit 0 first, e.g. nginx -t; run with become root if allowed"""
    warning: str = ""
    """shown in the confirmation: who is cut off, what is lost"""
    deadline: float = 60.0
    """seconds the console allows the act itself"""
    gate_deadline: float = 120.0
    """seconds until health must be back"""


class Actions(_Model):
    """Per verb. A verb not given is offered by the manager without further knowledge."""

    start: ActionSpec | None = None
    stop: ActionSpec | None = None
    restart: ActionSpec | None = None
    reload: ActionSpec | None = None


class TutorSpec(_Model):
    """What differs where Tutor runs it in a container (its services: ManagerEntry.compose).

    Paths are relative to the project's root, as `tutor config printroot` says it.
    """

    releases: str = ""
    """of Tutor; "" for all"""
    image: str = ""
    command: str = ""
    """what its container runs, in short"""
    user: str = ""
    ports: tuple[int, ...] = ()
    """inside the container"""
    published: str = ""
    """which of them are reachable from outside, in words; "" for none"""
    workers: WorkerSpec | None = None
    stdout: str = "plain"
    """format of the container's own output"""
    logs: tuple[LogSpec, ...] = ()
    data: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    health: tuple[HealthSpec, ...] = ()
    """asked for inside the container's network"""
    depends: tuple[str, ...] = ()
    """the edges of its compose file: an order of starting, nothing waits for health"""
    reload: tuple[str, ...] = ()
    """argv run in the container that makes it re-read code and settings"""
    grace: float = DOCKER_GRACE
    """seconds between TERM and KILL that it needs"""


class Alias(_Model):
    """Another name it had, and when."""

    name: str
    releases: str = ""


class Component(_Model):
    """One kind of thing an Open edX cluster is made of."""

    id: str
    title: str
    family: Family = "classic"
    releases: str = ""
    """of Open edX that have it; "" for all"""
    what: str
    """one plain-English sentence: what it does"""
    breaks: str
    """one sentence: what users notice when it is down"""
    first_log: str = ""
    """the first log to look at, in words"""
    aliases: tuple[Alias, ...] = ()
    managers: ManagerEntry = Field(default_factory=ManagerEntry)
    signature: Signature = Field(default_factory=Signature)
    user: tuple[str, ...] = ()
    listeners: tuple[ListenerSpec, ...] = ()
    workers: WorkerSpec | None = None
    logs: tuple[LogSpec, ...] = ()
    configs: tuple[str, ...] = ()
    health: tuple[HealthSpec, ...] = ()
    actions: Actions = Field(default_factory=Actions)
    depends: tuple[str, ...] = ()
    """what it can't work without; all of it starts before"""
    uses: tuple[str, ...] = ()
    """what only a part of it needs, where that is installed"""
    tutor: TutorSpec | None = None
    start_order: int = 50
    display_order: int = 90
    """front of the cluster first: nginx 10, applications 20, queues 30, data 50"""
    normal_exit: bool = False
    """to end with a status of success is no alarm (xqueue_consumer without push queues)"""
    source: str = ""
    """where these facts come from"""


class Catalog(BaseModel):
    """All components, in display order."""

    model_config = ConfigDict(frozen=True)

    components: dict[str, Component]

    def get(self, component: str) -> Component | None:
        return self.components.get(component)
