"""What Docker tells of a container, and what it means. Pure: API JSON in, Container and Unit out.

Containers are known by the labels that docker compose gives them, never by their names. Everything
is read with its type checked: what answers on the socket is a host's word, not ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import CONTAINER_LOG, CONTAINERS, ContainerFacts, Identity, Unit, UnitHealth

MANAGER = CONTAINERS
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"

Json = Mapping[str, object]

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID = re.compile(r"[0-9a-f]{64}")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
_BY_ITSELF = frozenset({"always", "unless-stopped"})
"""restart policies under which only an operator's stop leaves a container exited"""
MAX_NETWORKS = 20
_BY_SIGNAL = frozenset({137, 143})
"""exit codes of what was killed, or asked to end, from outside"""


@dataclass(frozen=True, slots=True)
class Place:
    """Which container of a compose project: what its labels say."""

    project: str
    service: str
    number: int = 1

    def __str__(self) -> str:
        """As a unit is named: "tutor_local:lms", and "tutor_local:lms-2" for the second of several."""
        return f"{self.project}:{self.service}" + (f"-{self.number}" if self.number > 1 else "")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a compose project, as last inspected."""

    id: str
    name: str
    place: Place
    unit: Unit
    created: str
    stop_timeout: int | None = None
    """its own grace, compose's stop_grace_period; None: Docker's 10 s"""
    tty: bool = False
    """whether it has a terminal, so that its output comes without frames"""
    log_driver: str = ""


def place_of(labels: object) -> Place | None:
    """What compose's labels say; None without them, for a one-off (`run`), and for nonsense."""
    said = as_map(labels)
    project, service = text(said, PROJECT), text(said, SERVICE)
    if not (_WORD.fullmatch(project) and _WORD.fullmatch(service)) or text(said, ONE_OFF).lower() == "true":
        return None
    number = text(said, NUMBER)
    return Place(project, service, int(number) if number.isdecimal() and len(number) < 5 else 1)


def container_id(told: object) -> str | None:
    """A container's whole id; None for anything else, as it becomes part of a path."""
    return told if isinstance(told, str) and _ID.fullmatch(told) else None


def to_container(told: Json) -> Container | None:
    """From /containers/ID/json; None when it is not of a compose project, or makes no sense."""
    config, state = as_map(told.get("Config")), as_map(told.get("State"))
    ident, place = container_id(told.get("Id")), place_of(config.get("Labels"))
    if ident is None or place is None or not state:
        return None
    grace = config.get("StopTimeout")
    return Container(
        id=ident,
        name=clean_line(text(told, "Name").removeprefix("/"), 120),
        place=place,
        unit=_unit(ident, place, told, state),
        created=text(told, "Created")[:40],
        stop_timeout=grace if isinstance(grace, int) and not isinstance(grace, bool) else None,
        tty=config.get("Tty") is True,
        log_driver=clean_line(text(as_map(as_map(told.get("HostConfig")).get("LogConfig")), "Type"), 40),
    )


def places_of(name: str) -> tuple[Place, ...]:
    """What a unit's name may mean: "p:lms-2" is a service of that name, or the second lms; () if nonsense."""
    project, _, service = name.partition(":")
    if not (_WORD.fullmatch(project) and _WORD.fullmatch(service)):
        return ()
    several = re.fullmatch(r"(.+)-([1-9]\d{0,3})", service)
    second = (Place(project, several[1], int(several[2])),) if several and int(several[2]) > 1 else ()
    return (Place(project, service), *second)


def by_name(containers: Iterable[Container]) -> dict[str, Container]:
    """One container per unit name; while compose replaces a container, two claim the same."""
    best: dict[str, Container] = {}
    for container in containers:
        name = container.unit.name
        best[name] = chosen([container, *([best[name]] if name in best else [])])
    return {name: best[name] for name in sorted(best)}


def chosen(claimants: list[Container]) -> Container:
    """Of several containers that claim one place: the one that runs, else the newest."""
    return max(claimants, key=lambda c: (c.unit.identity.pid is not None, c.created, c.id))


def _unit(ident: str, place: Place, told: Json, state: Json) -> Unit:
    policy = text(as_map(as_map(told.get("HostConfig")).get("RestartPolicy")), "Name")
    status = text(state, "Status")
    health = text(as_map(state.get("Health")), "Status")
    pid = number(state, "Pid")
    started, ended = stamp(text(state, "StartedAt")), stamp(text(state, "FinishedAt"))
    runs = status in ("running", "paused") and pid > 0
    since = started if runs else ended
    return Unit(
        manager=MANAGER,
        name=str(place),
        word=_word(status, health, number(state, "ExitCode")),
        health=_health(status, health, policy, state),
        identity=Identity(pid=pid, start=started, invocation=ident) if runs else Identity(invocation=ident),
        since=since / 1e9 if since else None,
        detail=_detail(told, state),
        log_paths=(f"{CONTAINER_LOG}{place}",),
        aliases=(place.service,),
        container=_facts(ident, told, state, policy),
        address=address_of(told) if runs else "",
    )


def _facts(ident: str, told: Json, state: Json, policy: str) -> ContainerFacts:
    status, health = text(state, "Status"), text(as_map(state.get("Health")), "Status")
    ended = status in ("exited", "restarting", "dead") or (status == "removing" and not number(state, "Pid"))
    return ContainerFacts(
        id=ident[:12],
        image=clean_line(text(as_map(told.get("Config")), "Image"), 120),
        status=clean_line(status, 40),
        health="" if health == "none" else clean_line(health, 40),
        exit_code=number(state, "ExitCode") if ended else None,
        oom_killed=state.get("OOMKilled") is True,
        restarts=number(told, "RestartCount"),
        policy=clean_line(policy, 40),
    )


def address_of(told: Json) -> str:
    """Its first address of any network, the host's own where it shares that; "" where it has none."""
    networks = as_map(as_map(told.get("NetworkSettings")).get("Networks"))
    if text(as_map(told.get("HostConfig")), "NetworkMode") == "host":
        return "127.0.0.1"
    for name in sorted(networks)[:MAX_NETWORKS]:
        for key in ("IPAddress", "GlobalIPv6Address"):
            try:
                return str(ipaddress.ip_address(text(as_map(networks[name]), key)))
            except ValueError:
                continue
    return ""


def _health(status: str, health: str, policy: str, state: Json) -> UnitHealth:
    if status == "running":
        by_check = {"starting": UnitHealth.STARTING, "unhealthy": UnitHealth.FAILED}
        return by_check.get(health, UnitHealth.RUNNING)
    if status == "created":
        return UnitHealth.STOPPED
    if status == "removing":
        return UnitHealth.STOPPING
    if status in ("restarting", "paused", "dead"):
        return UnitHealth.FAILED
    return _exited(policy, state) if status == "exited" else UnitHealth.UNKNOWN


def _exited(policy: str, state: Json) -> UnitHealth:
    """Docker does not say who ended it; its restart policy and the exit code do."""
    if text(state, "Error") or state.get("OOMKilled") is True:
        return UnitHealth.FAILED
    if policy in _BY_ITSELF:
        return UnitHealth.STOPPED
    code = number(state, "ExitCode")
    if code == 0:
        return UnitHealth.EXITED
    return UnitHealth.STOPPED if code in _BY_SIGNAL else UnitHealth.FAILED


def _word(status: str, health: str, code: int) -> str:
    if status == "exited":
        return f"exited ({code})"
    if status == "restarting":
        return f"restarting ({code})"
    return clean_line(f"{status} ({health})" if health not in ("", "none") else status, 40)


def _detail(told: Json, state: Json) -> str:
    parts = []
    if state.get("OOMKilled") is True:
        parts.append("out of memory: the kernel killed a process of it")
    if error := text(state, "Error"):
        parts.append(clean_line(error, 160))
    if text(state, "Status") == "paused":
        parts.append("frozen by docker pause")
    by_check = text(as_map(state.get("Health")), "Status")
    if text(state, "Status") == "running" and by_check == "unhealthy":
        parts.append("its own health check fails")
    if count := number(told, "RestartCount"):
        loop = "in a crash loop, " if text(state, "Status") == "restarting" else ""
        parts.append(f"{loop}restarted {count} {'time' if count == 1 else 'times'} by Docker")
    return ", ".join(parts)


def stamp(said: str) -> int | None:
    """Nanoseconds since 1970 of Docker's "2026-11-23T05:15:10.881799417Z"; None for never."""
    match = _STAMP.fullmatch(said)
    if match is None or match[1].startswith("0001-"):
        return None
    try:
        seconds = datetime.fromisoformat(f"{match[1]}+00:00").timestamp()
    except ValueError:
        return None
    return int(seconds) * 10**9 + int((match[2] or "0").ljust(9, "0"))


def as_map(told: object) -> Json:
    """A JSON object, {} for anything else."""
    return told if isinstance(told, dict) else {}


def text(told: Json, key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def number(told: Json, key: str) -> int:
    """A number of ordinary size, 0 for anything else."""
    value = told.get(key)
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53
    return value if fits and isinstance(value, int) else 0
