"""When a one-shot command has seen enough: each host is live and looked at once, or has failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.cluster import Cluster
from edxconsole.cluster.instances import NOT_YET
from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, Link
from edxconsole.cluster.session import HostSession

POLL = 0.2
"""seconds; a watcher without findings publishes nothing that could be waited for"""


async def settled(cluster: Cluster, catalog: Catalog, timeout: float) -> ClusterSnapshot:
    """The first snapshot in which nothing is pending, or the one at the end of `timeout` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while not all(_done(session) for session in cluster.sessions.values()):
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await cluster.changed()
    return cluster.snapshot


def _done(session: HostSession) -> bool:
    if session.snapshot.link is Link.LIVE:
        # What was reported a moment ago may not be in the snapshot yet, and then its checks aren't due.
        return session.watchers_reported and session.published and not _pending(session.snapshot)
    return session.gave_up


def _pending(host: HostSnapshot) -> bool:
    return any(i.reason.endswith(NOT_YET) for i in host.instances)
