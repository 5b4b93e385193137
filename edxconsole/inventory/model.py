"""The inventory: which hosts there are, how to reach them, what is expected where."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


class Environment(StrEnum):
    """How careful the console is: typed phrases and colours depend on it."""

    PRODUCTION = "production"
    STAGING = "staging"
    DEVELOPMENT = "development"


TransportKind = Literal["asyncssh", "paramiko", "local"]


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host, with the inventory's defaults already applied."""

    name: str
    address: str | None = None
    """None: `name` is an alias that ssh_config resolves"""
    port: int | None = None
    user: str | None = None
    jump: str | None = None
    """another host of this inventory, or an ssh_config alias"""
    proxy_command: str | None = None
    """a local command whose stdin and stdout are the connection, as ssh_config's ProxyCommand"""
    transport: TransportKind = "asyncssh"
    become: Literal["sudo"] | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    """a known_hosts file of its own, e.g. the demo cluster's; read as well as the operator's"""
    ssh_config: Path | None = None
    legacy_algorithms: bool = False
    python: str | None = None
    """an interpreter path for the probe, when the usual places don't do"""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """A whole hosts.yaml after loading: hosts in file order."""

    path: Path | None = None
    cluster: str = "cluster"
    environment: Environment = Environment.PRODUCTION
    """production when not said: the careful default"""
    hosts: dict[str, Host]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    expect: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """group or host -> component ids"""
    sites: tuple[str, ...] = ()
    """public host names of the cluster's sites, in small letters: whose certificates are looked at"""
    catalog: Path | None = None
    """a file or directory of component YAML that adds to the built-in catalog"""

    def expected_on(self, host: str) -> frozenset[str]:
        """Component ids that hosts.yaml expects on this host."""
        names = {host, *(g for g, members in self.groups.items() if host in members)}
        return frozenset(c for n in names for c in self.expect.get(n, ()))
