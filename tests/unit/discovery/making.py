"""Found hosts for tests of what is pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edxconsole.catalog.loader import load_catalog
from edxconsole.cluster.model import Age, HostSnapshot, Instance, Link, Listener, Process, State
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.discovery.model import Config, FoundHost, Install, Kind, Running
from edxconsole.inspect.edxapp_config import Claim
from edxconsole.inventory.model import Host, Inventory

CATALOG = load_catalog()
LMS_YML = "/edx/etc/lms.yml"


def claim(component: str, host: str, port: int | None = None, **more: Any) -> Claim:
    said: dict[str, Any] = {"unix": None, "key": "KEY", "path": LMS_YML} | more
    return Claim(component, host, port, **said)


def config(*claims: Claim, **more: Any) -> Config:
    said: dict[str, Any] = {"path": claims[0].path if claims else LMS_YML, "in_force": True} | more
    return Config(claims=claims, **said)


def listener(component: str, port: int, address: str = "0.0.0.0", **more: Any) -> Listener:
    said: dict[str, Any] = {"proto": "tcp", "process": component} | more
    proto, process = said["proto"], said["process"]
    return Listener(proto, address, port, "x", 5, "owner", process, component)


def process(pid: int, argv: str, *, user: str = "www-data", contained: bool = False) -> Process:
    words = tuple(argv.split())
    return Process(pid, pid, 1.0, 1, 33, user, words[0], words, "S", 0.0, 2048, 1, contained)


def container(service: str, *, project: str = "tutor_local", runs: bool = True) -> Unit:
    health = UnitHealth.RUNNING if runs else UnitHealth.STOPPED
    identity = Identity(pid=9, start=1) if runs else Identity()
    word = "running" if runs else "exited (1)"
    return Unit("docker", f"{project}:{service}", word, health, identity, aliases=(service,))


def snapshot(name: str, **more: Any) -> HostSnapshot:
    said: dict[str, Any] = {"link": Link.LIVE, "ages": {"listeners": Age(0.0, 0.0)}} | more
    return HostSnapshot(name=name, version=1, reason="", since=0.0, **said)


def found(
    name: str,
    runs: Sequence[str] = (),
    *,
    listeners: Sequence[Listener] = (),
    units: Sequence[Unit] = (),
    address: str = "",
    **more: Any,
) -> FoundHost:
    """A host that was reached, where these components run."""
    seen = snapshot(
        name, listeners=tuple(listeners), units={f"{u.manager}/{u.name}": u for u in units}, hostname=name
    )
    running = tuple(Running(Instance(c, name, State.UP, "", None), ("systemd",), True) for c in runs)
    said: dict[str, Any] = {"installs": (Install(Kind.CLASSIC),), "reached": True} | more
    return FoundHost(name, seen, addresses=frozenset({address} - {""}), running=running, **said)


def inventory(*names: str) -> Inventory:
    return Inventory(hosts={name: Host(name=name) for name in names})
