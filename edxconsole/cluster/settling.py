"""When a one-shot command has seen enough: each host is live and looked at once, or has failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.cluster import Cluster
from edxconsole.cluster.judging_health import NOT_YET
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


async def seen(cluster: Cluster, session: HostSession, timeout: float) -> HostSnapshot:
    """One host as soon as it is live and its services were seen once, or when it failed; health is not
    waited for. The last snapshot at the end of `timeout` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while not _seen(session):
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await cluster.changed()
    return session.snapshot


def _seen(session: HostSession) -> bool:
    if session.snapshot.link is Link.LIVE:
        # What was reported a moment ago may not be in the snapshot yet, and then its checks aren't due.
        return session.watchers_reported and session.published
    return session.gave_up


def _done(session: HostSession) -> bool:
    return _seen(session) and not (session.snapshot.link is Link.LIVE and _pending(session.snapshot))


def _pending(host: HostSnapshot) -> bool:
    return any(i.reason.endswith(NOT_YET) for i in host.instances)


def unanswered(host: HostSnapshot) -> str:
    """Cause and remedy for a host that neither let us in nor refused before the time was over; else ""."""
    match host.link:
        case Link.WAITING | Link.CONNECTING:
            remedy = "see whether it is up, not frozen, and a firewall lets you through, or raise --timeout"
            return f"no answer from {host.address or host.name} before the time was over; {remedy}."
        case Link.AUTHENTICATING | Link.PROBING:
            return f"{host.reason or host.link.value}, when the time was over; raise --timeout."
        case Link.STALE:
            return "it stopped answering; see whether it is frozen or its network is down."
    return ""
