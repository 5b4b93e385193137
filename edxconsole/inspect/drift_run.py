"""Ask every host of every component for what is compared, at the same time, and fold the answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

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
    rules = await asyncio.to_thread(load_drift_rules)
    shared = {component for pair in rules.shared_secrets for component in pair}
    wanted = {c: hosts for c, hosts in roles.items() if len(hosts) > 1 or c in shared}
    asking = _Asking(snapshot, catalog, transport, frozenset(sudo), secrets.token_bytes(SALT_BYTES))
    meant = {name: [c for c, hosts in wanted.items() if name in hosts] for name in snapshot.hosts}
    answers = await asyncio.gather(*(asking.host(name, components) for name, components in meant.items()))
    order = list(wanted)
    facts = sorted((one for of_one in answers for one in of_one), key=lambda one: order.index(one.component))
    return fold_all(facts, rules)


@dataclass(frozen=True, slots=True)
class _Asking:
    """One run: what is asked, of whom, and the salt that its secrets are compared with."""

    snapshot: ClusterSnapshot
    catalog: Catalog
    transport: Callable[[str], Transport]
    sudo: frozenset[str]
    salt: bytes = field(repr=False)

    async def host(self, name: str, components: Sequence[str]) -> list[HostFacts]:
        """One component after the other: they share the one session that the probe leaves."""
        found = []
        for component in components:
            try:
                found.append(await self._component(name, component))
            except ConnectionLost as error:
                lost = Unread(EVERYTHING, error.cause, error.remedy or "")
                found.append(HostFacts(name, component, (), (lost,)))
        return found

    async def _component(self, name: str, component: str) -> HostFacts:
        host, known = self.snapshot.hosts[name], self.catalog.components[component]
        instance = next((i for i in host.instances if i.component == component), None)
        sight = Sight(self.transport(name), host, known, instance, sudo=name in self.sudo)
        return await facts_of(sight, self.salt)
