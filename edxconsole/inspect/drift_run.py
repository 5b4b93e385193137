"""Ask every host of every component for what is compared, at the same time, and fold the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence

from edxconsole.catalog.drift import load_drift_rules
from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.errors import ConnectionLost
from edxconsole.inspect.config_leaves import SALT_BYTES
from edxconsole.inspect.drift import EVERYTHING, Drift, HostFacts, Unread, fold_all
from edxconsole.inspect.drift_facts import facts_of
from edxconsole.inspect.sight import Sight
from edxconsole.transport.base import Transport


def roles_of(
    catalog: Catalog, snapshot: ClusterSnapshot, expected: Mapping[str, Collection[str]]
) -> dict[str, tuple[str, ...]]:
    """Component id -> the hosts that have it, in display order: seen there, or expected.

    Args:
        expected: host -> component ids.
    """
    roles: dict[str, tuple[str, ...]] = {}
    for component in catalog.components:
        hosts = tuple(
            name
            for name, host in snapshot.hosts.items()
            if any(i.component == component for i in host.instances) or component in expected.get(name, ())
        )
        if hosts:
            roles[component] = hosts
    return roles


async def find_drift(
    roles: Mapping[str, Sequence[str]],
    snapshot: ClusterSnapshot,
    catalog: Catalog,
    transport: Callable[[str], Transport],
    *,
    sudo: Collection[str],
) -> Drift:
    """What differs. A host that can't be asked is unknown, and delays no other.

    Args:
        transport: the live connection of a host; raises ConnectionLost.
        sudo: hosts on which `sudo -n` is allowed.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    rules = load_drift_rules()
    shared = {component for pair in rules.shared_secrets for component in pair}
    wanted = {c: hosts for c, hosts in roles.items() if len(hosts) > 1 or c in shared}

    async def of_host(name: str) -> list[HostFacts]:
        """One component after the other: they share the one session that the probe leaves."""
        found = []
        for component in (c for c, hosts in wanted.items() if name in hosts):
            try:
                found.append(await _facts(transport(name), component, name))
            except ConnectionLost as error:
                lost = Unread(EVERYTHING, error.cause, error.remedy or "")
                found.append(HostFacts(name, component, (), (lost,)))
        return found

    async def _facts(connection: Transport, component: str, name: str) -> HostFacts:
        host, known = snapshot.hosts[name], catalog.components[component]
        instance = next((i for i in host.instances if i.component == component), None)
        return await facts_of(Sight(connection, host, known, instance, sudo=name in sudo), salt)

    names = [name for name in snapshot.hosts if any(name in hosts for hosts in wanted.values())]
    answers = await asyncio.gather(*(of_host(name) for name in names))
    facts = [one for of_one in answers for one in of_one]
    order = list(wanted)
    return fold_all(sorted(facts, key=lambda one: order.index(one.component)), rules)
