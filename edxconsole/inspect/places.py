"""Where the one service of a component is asked on its host."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.health.endpoints import endpoint_for
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import Project, services_of
from edxconsole.transport.base import Endpoint, TcpEndpoint


def place_of(sight: Sight, report: Report, port: int, project: Project | None) -> Endpoint | None:
    """The port of its health check, else `port`; None, and told, where nothing is to be asked.

    Args:
        project: of its containers, where it runs in such.
    """
    known = sight.component
    specs = (*known.health, *(known.tutor.health if known.tutor else ()))
    spec = next((s for s in specs if s.port is not None), None)
    spec = spec or HealthSpec(name=known.id, kind="tcp", port=port)
    if project is not None:
        addresses = (project.addresses.get(service) for service in services_of(sight))
        address = next((a for a in addresses if a), None)
        if address is None:
            report.missing(known.title, "its container has no address, or does not run")
            return None
        return TcpEndpoint(address, spec.port or port)
    endpoint, listening = endpoint_for(sight.host, known.id, spec)
    if endpoint is None or not listening:
        report.down(f"nothing of {known.title} listens")
        return None
    return endpoint
