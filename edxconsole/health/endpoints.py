"""Where a check knocks: the port or socket of its spec, on the address the service is bound to."""

from __future__ import annotations

from collections.abc import Iterable

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.checks import Check, speaks_tls
from edxconsole.cluster.listening import ANY_ADDRESS
from edxconsole.cluster.model import HostSnapshot, Listener
from edxconsole.transport.base import Endpoint, TcpEndpoint, UnixEndpoint

_PLAIN_HTTP = (80, 18000, 18010, 8080)
"""preferred ports of nginx: plain HTTP, the LMS site first"""
DOCKER_PROXY = "docker-pr"
"""begins the process that holds a port which Docker publishes; its name may be cut, or not to be seen"""


def endpoint_of(host: HostSnapshot, component: str, check: Check) -> tuple[Endpoint | None, bool]:
    """endpoint_for(), or the port of a container at that container's own address and whether it is published.

    None for a container without an address.
    """
    if check.unit is None:
        return endpoint_for(host, component, check.spec)
    if not check.unit.address or check.spec.port is None:
        return None, False
    seen = (s for s in host.listeners if s.port == check.spec.port)
    published = any(s.process.startswith(DOCKER_PROXY) for s in seen)
    return TcpEndpoint(check.unit.address, check.spec.port), published


def endpoint_for(host: HostSnapshot, component: str, spec: HealthSpec) -> tuple[Endpoint | None, bool]:
    """(where to connect, whether the probe sees something listening there).

    None when the spec names no place and nothing of the component listens.
    """
    if spec.unix is not None:
        found = [s for s in host.listeners if s.proto == "unix" and s.address == spec.unix]
        owner = found[0].user if found else None
        return UnixEndpoint(spec.unix, owner=owner), bool(found)
    if spec.port is not None:
        return port_of(host, spec.port)
    own = [s for s in host.listeners if s.component == component and s.port]
    if spec.kind == "tls":
        own = [s for s in own if speaks_tls(s.port)]
    if not own:
        return None, False
    port = min((s.port for s in own), key=_preference)
    return _tcp([s for s in own if s.port == port], port), True


def port_of(host: HostSnapshot, port: int) -> tuple[TcpEndpoint, bool]:
    """(where to connect for this port, whether the probe sees something listening on it)."""
    found = [s for s in host.listeners if s.proto != "unix" and s.port == port]
    return _tcp(found, port), bool(found)


def _tcp(found: Iterable[Listener], port: int) -> TcpEndpoint:
    addresses = ["127.0.0.1" if s.address in ANY_ADDRESS else s.address for s in found]
    loopback = [a for a in addresses if a.startswith("127.")]
    return TcpEndpoint((loopback or addresses or ["127.0.0.1"])[0], port)


def _preference(port: int) -> tuple[int, int]:
    if port in _PLAIN_HTTP:
        return (0, _PLAIN_HTTP.index(port))
    return (2 if speaks_tls(port) else 1, port)
