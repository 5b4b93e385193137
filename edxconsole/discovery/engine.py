"""Discover a cluster: every host by itself, then what their files say of each other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.cluster import Cluster
from edxconsole.cluster.model import HostSnapshot, Link
from edxconsole.cluster.settling import seen, unanswered
from edxconsole.discovery.look import look
from edxconsole.discovery.model import Discovery, FoundHost, Install, Kind
from edxconsole.discovery.topology import join
from edxconsole.errors import ConnectionLost
from edxconsole.inventory.model import Inventory


async def discover(cluster: Cluster, inventory: Inventory, catalog: Catalog, timeout: float) -> Discovery:
    """Everything of the hosts that a cluster is watching. See Engine.discover."""
    names = list(cluster.sessions)
    found = await asyncio.gather(*(_host(cluster, inventory, catalog, name, timeout) for name in names))
    hosts = {host.name: host for host in found}
    return Discovery(hosts, join(hosts, inventory, catalog))


async def _host(
    cluster: Cluster, inventory: Inventory, catalog: Catalog, name: str, timeout: float
) -> FoundHost:
    began = time.monotonic()
    session = cluster.session(name)
    snapshot = await seen(cluster, session, timeout)
    found = not_reached(snapshot)
    if snapshot.link is Link.LIVE:
        sudo = inventory.hosts[name].become == "sudo"
        try:
            found = await look(session.transport, snapshot, catalog, sudo=sudo)
        except ConnectionLost as error:
            found = replace(found, reason=f"{error.cause}.")
    return replace(found, seconds=time.monotonic() - began)


def not_reached(snapshot: HostSnapshot) -> FoundHost:
    """A host of which nothing is known, and why."""
    installs = (Install(Kind.UNKNOWN),)
    return FoundHost(
        snapshot.name, snapshot, reason=unanswered(snapshot) or snapshot.reason, installs=installs
    )
