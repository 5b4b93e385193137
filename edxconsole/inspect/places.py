"""Where the one service of a component is asked on its host."""

from __future__ import annotations

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.containers import contained
from edxconsole.health.endpoints import endpoint_for
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.transport.base import Endpoint


def place_of(sight: Sight, report: Report, port: int) -> Endpoint | None:
    """The port of its health check, else `port`; None, and told, where nothing is to be asked."""
    known = sight.component
    specs = (*known.health, *(known.tutor.health if known.tutor else ()))
    spec = next((s for s in specs if s.port is not None), None)
    spec = spec or HealthSpec(name=known.id, kind="tcp", port=port)
    endpoint, listening = endpoint_for(sight.host, known.id, spec)
    if endpoint is not None and listening:
        return endpoint
    if sight.instance is not None and contained(sight.host, sight.instance):
        report.missing(known.title, "it runs in a container, whose address is not known")
    else:
        report.down(f"nothing of {known.title} listens")
    return None
