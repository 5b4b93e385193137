"""What a supervisord's version and openness mean for an operator."""

from __future__ import annotations

import re

from edxconsole.services.supervisor_client import Route
from edxconsole.services.supervisor_config import ServerConfig
from edxconsole.transport.base import TcpEndpoint

Version = tuple[int, ...]

SIGNALS_SINCE: Version = (3, 2, 0)
_CVE_2017_11610_FIXED: dict[Version, int] = {(3, 0): 1, (3, 1): 4, (3, 2): 4, (3, 3): 3}


def parse_version(text: str) -> Version:
    """`3.2.3` -> (3, 2, 3); pre-release tags are dropped; () when it is none."""
    match = re.match(r"\d{1,6}(?:\.\d{1,6}){0,3}", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def can_signal(version: Version) -> bool:
    """signalProcess came with 3.2.0."""
    return version >= SIGNALS_SINCE


def has_cve_2017_11610(version: Version) -> bool:
    """Remote code for any client of the RPC interface: before 3.0.1, 3.1.4, 3.2.4, 3.3.3."""
    if not version:
        return False
    patch = version[2] if len(version) > 2 else 0
    return version < (3,) or patch < _CVE_2017_11610_FIXED.get(version[:2], 0)


def warnings(version_text: str, route: Route, config: ServerConfig) -> tuple[str, ...]:
    """What about this supervisord an operator should know, one clause each."""
    found = []
    open_port = _open_port(route, config)
    if open_port is not None:
        found.append(f"{open_port} has no password: any local user can control these programs")
    if has_cve_2017_11610(parse_version(version_text)):
        found.append(f"CVE-2017-11610 ({version_text}): any client can run commands as supervisord's user")
    return tuple(found)


def _open_port(route: Route, config: ServerConfig) -> TcpEndpoint | None:
    if isinstance(route.endpoint, TcpEndpoint) and not route.password:
        return route.endpoint
    return config.tcp if config.tcp_auth is None else None
