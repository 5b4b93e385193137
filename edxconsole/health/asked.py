"""What a health check asks, in words, and what came of asking it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edxconsole.cluster.checks import Check
from edxconsole.cluster.model import Evidence, HostSnapshot
from edxconsole.health.endpoints import endpoint_of

_OF_HOST = {
    "absent": "whether {path} exists",
    "amqp-queues": "GET /api/queues of its management plugin",
    "mysql-login": "SELECT 1 and its connections, by the host's mysql with ~/.my.cnf",
}
"""by kind: what is asked of the host, or where the check itself knows whom to ask"""
_OF_SERVICE = {
    "http": "GET {path}",
    "nginx": "GET {path}",
    "elasticsearch": "GET {path}",
    "tls": "the certificate",
    "tcp": "a connection",
    "memcached": "stats",
    "redis": "PING",
    "redis-queues": "how long Celery's queues are",
    "mysql": "the greeting",
    "amqp": "the greeting",
    "mongodb": "isMaster",
    "mongodb-status": "serverStatus",
}
"""by kind: what is asked of the service at its endpoint"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One check, asked now."""

    check: Check
    evidence: Evidence
    text: str
    """what it answered, and what that proves, without the check's name; host output in it is cleaned"""
    took: float
    """seconds until that was known"""


def question(host: HostSnapshot, component: str, check: Check, sites: Sequence[str] = ()) -> str:
    """What it asks, and where, as the host was last seen: "GET /heartbeat at 127.0.0.1:8000 as localhost".

    Args:
        sites: the names for which a certificate is asked, unless the check says its own.
    """
    spec = check.spec
    if spec.kind in _OF_HOST:
        return _OF_HOST[spec.kind].format(path=spec.path)
    words = _OF_SERVICE[spec.kind].format(path=spec.path)
    endpoint, _ = endpoint_of(host, component, check)
    where = f" at {endpoint}" if endpoint is not None else ""
    if spec.kind == "tls":
        names = spec.host_header or ", ".join(sites)
        return f"{words}{where} for {names}" if names else f"{words}{where}"
    return f"{words}{where} as {spec.host_header}" if spec.host_header else f"{words}{where}"
