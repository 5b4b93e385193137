"""What a namespaced host is made of: plain data that travels as JSON to the process that becomes the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """How the namespaces are made."""

    USER = "user"
    """in a user namespace, by anybody: a host has one uid, 1000, and no sudo"""
    ROOT = "root"
    """by root: an overlay of a real root directory, every user, sudo works"""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file to write into the host before it starts; its directories are made."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Bind:
    """A directory or file of the machine shown in the host at `target`, read-only unless `writable`."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A program the host's init starts; its output goes to `log`, a path in the host."""

    argv: tuple[str, ...]
    log: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One host of a `Net`.

    Args:
        name: the host's name, in UTS and in every host's /etc/hosts.
        address: its IPv4 address in the net, dotted.
        size_mib: how large its disk is: the tmpfs that holds everything it writes.
        lower: root mode only: the directory (or `a:b` list) below the overlay.
        usr: user mode only: the machine's directory shown as /usr.
    """

    name: str
    address: str
    size_mib: int = 256
    files: tuple[HostFile, ...] = ()
    directories: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """symbolic links to make: path in the host -> target"""
    binds: tuple[Bind, ...] = ()
    services: tuple[Service, ...] = ()
    lower: str = "/"
    usr: str = "/usr"
    neighbours: Mapping[str, str] = field(default_factory=dict)
    """name -> address, for /etc/hosts; `Net.start` fills in the hosts it starts together"""

    def to_json(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> HostSpec:
        """The reverse of `to_json`."""
        raw = json.loads(text)
        raw["files"] = tuple(HostFile(**f) for f in raw["files"])
        raw["binds"] = tuple(Bind(**b) for b in raw["binds"])
        raw["services"] = tuple(Service(**s | {"argv": tuple(s["argv"])}) for s in raw["services"])
        raw["directories"] = tuple(raw["directories"])
        return cls(**raw)
