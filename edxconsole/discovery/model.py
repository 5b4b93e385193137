"""What discovery finds: how each host was installed, what runs there, whom its files name. Pure data.

Text from a host is cleaned before it gets in here, and nothing in here is secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edxconsole.cluster.model import HostSnapshot, Instance
from edxconsole.inspect.edxapp_config import Claim
from edxconsole.inspect.model import Missing


class Kind(StrEnum):
    """How Open edX came onto a host."""

    CLASSIC = "classic"
    """by edX's Ansible playbooks: /edx, supervisor"""
    TUTOR = "tutor"
    NONE = "none"
    """nothing of Open edX itself; a database host, for example"""
    UNKNOWN = "unknown"
    """the host was not seen"""


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing seen that tells the release: it exists from `since` to `until`, both included."""

    text: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Install:
    """One installation on a host."""

    kind: Kind
    release: str = ""
    """ "Koa", "Juniper to Quince", "Verawood (Tutor 22.0.3)"; "" where nothing tells"""
    evidence: tuple[str, ...] = ()
    """a clause for each thing that told so"""
    project: str = ""
    """compose project, of Tutor"""
    root: str = ""
    """TUTOR_ROOT"""
    contradiction: str = ""
    """a clause: signs of the release that can't all be true"""


@dataclass(frozen=True, slots=True)
class Config:
    """One file, or the output of one command, that names endpoints."""

    path: str
    in_force: bool
    why: str = ""
    """a clause: how that is known"""
    claims: tuple[Claim, ...] = ()
    project: str = ""
    """of containers: their service names are hosts to each other"""
    upstreams: bool = False
    """of a front: it says whom requests are passed to, not what an application uses"""
    names: tuple[str, ...] = ()
    """of a front: those its TLS sites are asked by, as it writes them: also patterns"""


@dataclass(frozen=True, slots=True)
class Running:
    """A component that runs on a host."""

    instance: Instance
    by: tuple[str, ...]
    """what runs it: "supervisor", "systemd", "docker tutor_local"; () where no manager was seen"""
    lasting: bool
    """shall always run; not a job that ends"""

    @property
    def component(self) -> str:
        return self.instance.component


@dataclass(frozen=True, slots=True)
class FoundHost:
    """Everything discovered of one host."""

    name: str
    snapshot: HostSnapshot | None
    """None where it was not asked about"""
    reached: bool = False
    reason: str = ""
    """one sentence: why it was not reached"""
    addresses: frozenset[str] = frozenset()
    """its own, and the one it was reached at"""
    installs: tuple[Install, ...] = ()
    running: tuple[Running, ...] = ()
    idle: tuple[Instance, ...] = ()
    """installed, but it does not run"""
    configs: tuple[Config, ...] = ()
    missing: tuple[Missing, ...] = ()
    """what could not be read"""
    resolved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """names in its files -> addresses as it resolves them, () for one that it can't; others were not tried"""
    seconds: float = 0.0
    """from the first try to connect until all of this was known"""

    @property
    def expected(self) -> tuple[str, ...]:
        """The components that `expect:` should name, in catalog order."""
        return tuple(r.component for r in self.running if r.lasting)


class Verdict(StrEnum):
    """What is found at an endpoint that a file names."""

    RUNS = "runs"
    """the component listens there, or its container runs"""
    AMISS = "amiss"
    """nothing of it is there"""
    ABSENT = "absent"
    """nothing of it is there or anywhere; settings name by default what was never installed"""
    OUTSIDE = "outside"
    """no host of this inventory: a hosted database, or the public name of the site"""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Edge:
    """An endpoint that files of one host name, and what is found there."""

    host: str
    """whose files say so"""
    component: str
    """component id, "" where nothing tells"""
    endpoint: str
    sources: tuple[tuple[str, str], ...]
    """(file, key) of each place that says so"""
    target: str | None
    """the inventory host it leads to"""
    verdict: Verdict
    text: str
    """a clause: what is found"""


@dataclass(frozen=True, slots=True)
class Topology:
    """Who is told to talk to whom, held against what runs."""

    edges: tuple[Edge, ...] = ()
    disagreements: tuple[str, ...] = ()
    """one sentence each"""
    unknowns: tuple[str, ...] = ()
    """one sentence each: what could not be compared"""


@dataclass(frozen=True, slots=True)
class Discovery:
    """A whole discovery: hosts in inventory order."""

    hosts: Mapping[str, FoundHost]
    topology: Topology
