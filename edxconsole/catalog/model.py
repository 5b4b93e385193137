"""What Open edX is made of, as data: one Component per YAML file in `components/`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Family = Literal["classic", "tutor", "both"]


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
    """Recognise its processes: regular expressions searched in the space-joined argv, or a comm."""

    argv: tuple[str, ...] = ()
    comm: tuple[str, ...] = ()
    master: str | None = None
    """argv regex of the one process to signal (gunicorn master), never a wrapper shell; where
    master and workers share an argv, the one whose parent does not match"""


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

    expression: str
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
    port that nginx listens on there.
    """

    name: str
    kind: Literal["http", "tcp", "memcached", "redis", "mysql", "amqp", "mongodb", "nginx"]
    port: int | None = None
    unix: str | None = None
    path: str = "/"
    host_header: str = ""
    expect_status: int = 200
    meaning: str = ""
    """what a pass proves, and what it does not"""
    level: Literal["L1", "L2", "L3"] = "L2"


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
    grace: float | None = None
    """seconds it may take to end before it is killed, where the console can choose them: in a container;
    None: what the container was made with, else Docker's 10 s"""
    gate_deadline: float = 120.0
    """seconds until health must be back"""


class Actions(_Model):
    """Per verb. A verb not given is offered by the manager without further knowledge."""

    start: ActionSpec | None = None
    stop: ActionSpec | None = None
    restart: ActionSpec | None = None
    reload: ActionSpec | None = None


class Alias(_Model):
    """Another name it had, and when."""

    name: str
    releases: str = ""


class Component(_Model):
    """One kind of thing an Open edX cluster is made of."""

    id: str
    title: str
    family: Family = "classic"
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
    start_order: int = 50
    display_order: int = 90
    """front of the cluster first: nginx 10, applications 20, queues 30, data 50"""
    normal_exit: bool = False
    """EXITED is not an alarm (xqueue_consumer without push queues)"""
    source: str = ""
    """where these facts come from"""


class Catalog(BaseModel):
    """All components, in display order."""

    model_config = ConfigDict(frozen=True)

    components: dict[str, Component]

    def get(self, component: str) -> Component | None:
        return self.components.get(component)
