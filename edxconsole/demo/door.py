"""How the demo's own SSH server stands in for the sshd of each host: plain data that travels as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Door:
    """One host as the SSH server sees it.

    Args:
        host_key, authorized: the texts of the private host key and of authorized_keys.
        env, cwd: what a session starts with.
        pid: the host's PID 1 as the server sees it; 0 for a host without namespaces.
        own_user: the host has a user namespace of its own, which sessions have to enter.
    """

    name: str
    address: str
    port: int
    host_key: str
    authorized: str
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    pid: int = 0
    own_user: bool = False

    @classmethod
    def read(cls, text: str) -> list[Self]:
        """The reverse of `to_json`."""
        return [cls(**raw) for raw in json.loads(text)]


def to_json(doors: list[Door]) -> str:
    """The doors as one line."""
    return json.dumps([asdict(door) for door in doors]) + "\n"
