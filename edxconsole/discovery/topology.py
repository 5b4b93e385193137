"""Who is told to talk to whom, and what is found there: claims of all hosts held against what runs. Pure.

Where a host was not seen, or a file not read, that is said: nothing is taken for missing that may be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.containers import contained
from edxconsole.cluster.listening import ANY_ADDRESS
from edxconsole.cluster.model import Listener
from edxconsole.cluster.text import clean_line
from edxconsole.discovery.model import Config, Edge, FoundHost, Topology, Verdict
from edxconsole.discovery.sentences import (
    SITE,
    STORES,
    blind_spots,
    contradictions,
    is_amiss,
    never_installed,
    sentence_of,
    title_of,
    unnamed_stores,
)
from edxconsole.inspect.edxapp_config import Claim
from edxconsole.inspect.resolving import address_of, is_loopback
from edxconsole.inventory.model import Inventory

FRONTS = frozenset({"nginx", "caddy"})
"""what answers in the name of the sites and services behind it"""
ALIKE = ({"postfix", "smtp"},)
"""components that do the same for who is told to talk to them"""


class _Found(NamedTuple):
    """What is at an endpoint: the host it leads to, the verdict, a clause."""

    target: str | None
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class _Group:
    """One endpoint named by one host, by however many keys."""

    host: str
    component: str
    endpoint: str
    project: str


def join(hosts: Mapping[str, FoundHost], inventory: Inventory, catalog: Catalog) -> Topology:
    """The topology of these hosts; those of the inventory that are not among them were not looked at."""
    places = Places(hosts, inventory)
    groups: dict[_Group, list[tuple[Config, Claim]]] = {}
    for host in hosts.values():
        for config in host.configs if host.reached else ():
            for claim in config.claims if config.in_force else ():
                if not claim.host and claim.unix is None:
                    continue
                group = _Group(host.name, claim.component, endpoint_of(claim), config.project)
                groups.setdefault(group, []).append((config, claim))
    edges = tuple(_edge(places, catalog, group, told) for group, told in groups.items())
    said = [sentence_of(edge, catalog) for edge in edges if is_amiss(edge)]
    said += [*contradictions(hosts.values())]
    blind = tuple(blind_spots(hosts.values(), inventory))
    unnamed, open_ones = unnamed_stores(hosts, edges, catalog, bool(blind))
    unknowns = [*blind, *open_ones]
    unknowns += [sentence_of(edge, catalog) for edge in edges if edge.verdict is Verdict.UNKNOWN]
    unknowns += never_installed(edges, catalog)
    return Topology(edges, tuple(dict.fromkeys([*said, *unnamed])), tuple(dict.fromkeys(unknowns)))


def endpoint_of(claim: Claim) -> str:
    """host:port, host, or unix:PATH."""
    if claim.unix is not None:
        return f"unix:{claim.unix}"
    host = f"[{claim.host}]" if ":" in claim.host else claim.host
    return clean_line(f"{host}:{claim.port}" if claim.port is not None else host, 280)


class Places:
    """Which host of the inventory an address or a name is."""

    def __init__(self, hosts: Mapping[str, FoundHost], inventory: Inventory) -> None:
        self.hosts = hosts
        self.unseen = [n for n in inventory.hosts if n not in hosts or not hosts[n].reached]
        owners: dict[str, set[str]] = {}
        for name, host in inventory.hosts.items():
            for word in (name, host.address or ""):
                owners.setdefault(address_of(word) or word.lower(), set()).add(name)
        for found in hosts.values():
            hostname = found.snapshot.hostname if found.snapshot is not None else ""
            for word in (*found.addresses, hostname.lower(), hostname.lower().partition(".")[0]):
                owners.setdefault(word, set()).add(found.name)
        self.known = {r.component for h in hosts.values() for r in h.running}
        self.known |= {i.component for h in hosts.values() for i in h.idle}
        # Each Docker host has the same address on its own bridge: what several have names none of them.
        self._owner = {word: next(iter(names)) for word, names in owners.items() if len(names) == 1 and word}

    def of(self, asking: FoundHost, host: str) -> str | None:
        """The host that a word in a file of `asking` means; None: none that is known."""
        if not host or is_loopback(host) or address_of(host) in asking.addresses:
            return asking.name
        for address in asking.resolved.get(host, ()):
            if address in asking.addresses or is_loopback(address):
                return asking.name
            if address in self._owner:
                return self._owner[address]
        return self._owner.get(address_of(host) or host.lower())


def _edge(places: Places, catalog: Catalog, group: _Group, told: list[tuple[Config, Claim]]) -> Edge:
    claim = told[0][1]
    found = _found(places, catalog, places.hosts[group.host], group, claim)
    sources = tuple(dict.fromkeys((clean_line(c.path), clean_line(c.key)) for _, c in told))
    return Edge(group.host, group.component, group.endpoint, sources, *found)


def _found(places: Places, catalog: Catalog, asking: FoundHost, group: _Group, claim: Claim) -> _Found:
    if group.project:
        service = _in_project(asking, group.project, claim, catalog)
        if service is not None:
            return service
        if is_loopback(claim.host):
            return _Found(
                asking.name, Verdict.UNKNOWN, "that is inside its own container, which is not looked into"
            )
    target = places.of(asking, claim.host)
    if target is not None:
        return _on_host(places, catalog, target, claim, asking)
    return _nowhere(places, asking, claim)


def _in_project(asking: FoundHost, project: str, claim: Claim, catalog: Catalog) -> _Found | None:
    """What a name means inside of a compose project: a service of it; None when it has none of that name."""
    assert asking.snapshot is not None
    units = asking.snapshot.units.values()
    named = [
        u
        for u in units
        if u.name == f"{project}:{claim.host}" or u.name.startswith(f"{project}:{claim.host}-")
    ]
    own = [u for u in named if claim.host in (u.name.partition(":")[2], *u.aliases)]
    if any(u.identity.pid is not None for u in own):
        return _Found(asking.name, Verdict.RUNS, f"container {project}:{claim.host} runs")
    if own:
        return _Found(asking.name, Verdict.AMISS, f"its container is {clean_line(own[0].word, 60)}")
    declared = any(
        c.project == project and any(o.key == f"services.{claim.host}" for o in c.claims)
        for c in asking.configs
    )
    if not declared:
        return None
    if any(m.what == "compose projects" for m in asking.missing):
        return _Found(asking.name, Verdict.UNKNOWN, "whether its container runs can't be seen")
    return _Found(asking.name, Verdict.AMISS, "it has no container")


def _nowhere(places: Places, asking: FoundHost, claim: Claim) -> _Found:
    tried = asking.resolved.get(claim.host)
    if tried == () and _optional(places, claim):
        return _Found(None, Verdict.ABSENT, f"{asking.name} can't resolve that name, and it was seen nowhere")
    if tried == ():
        return _Found(None, Verdict.AMISS, f"{asking.name} can't resolve that name")
    if tried is None and not address_of(claim.host):
        return _Found(None, Verdict.UNKNOWN, "that name was not resolved")
    if places.unseen:
        return _Found(None, Verdict.UNKNOWN, f"it may be {', '.join(places.unseen[:5])}, not looked at")
    return _Found(None, Verdict.OUTSIDE, "no host of this cluster is that")


def _on_host(places: Places, catalog: Catalog, target: str, claim: Claim, asking: FoundHost) -> _Found:
    found = places.hosts.get(target)
    if found is None or not found.reached or found.snapshot is None:
        return _Found(target, Verdict.UNKNOWN, f"{target} was not looked at")
    if "listeners" not in found.snapshot.ages:
        return _Found(target, Verdict.UNKNOWN, f"what listens on {target} can't be seen")
    own = target == asking.name
    there = _listening(found, claim)
    if not there:
        text = f"nothing of {title_of(catalog, claim.component)}".removesuffix(" of ") + " listens there"
        if _optional(places, claim):
            return _Found(target, Verdict.ABSENT, f"{text}, and it was seen nowhere")
        return _Found(target, Verdict.AMISS, text)
    reachable = [
        s
        for s in there
        if own or claim.unix is not None or s.address in ANY_ADDRESS or not is_loopback(s.address)
    ]
    if not reachable:
        return _Found(target, Verdict.AMISS, f"it listens on {there[0].address} only")
    return _judged(found, catalog, claim, reachable)


def _optional(places: Places, claim: Claim) -> bool:
    """Whether it may well be that nobody wants it: of services that few sites have, settings name the usual
    place all the same. What nginx passes to, and stores, are meant."""
    named_by_default = claim.component not in ("", *STORES) and not claim.key.startswith(SITE)
    return named_by_default and not any(_same(claim.component, known) for known in places.known)


def _listening(found: FoundHost, claim: Claim) -> list[Listener]:
    assert found.snapshot is not None
    listeners = found.snapshot.listeners
    if claim.unix is not None:
        return [s for s in listeners if s.proto == "unix" and s.address == claim.unix]
    ports = [s for s in listeners if s.proto != "unix" and (claim.port is None or s.port == claim.port)]
    if claim.port is None:
        return [s for s in ports if s.component == claim.component]
    said = address_of(claim.host)
    bound = [s for s in ports if s.address in ANY_ADDRESS or not said or address_of(s.address) == said]
    return bound or ports


def _judged(found: FoundHost, catalog: Catalog, claim: Claim, there: list[Listener]) -> _Found:
    who = {s.component for s in there}
    title = title_of(catalog, claim.component)
    if not claim.component or any(_same(claim.component, c) for c in who):
        return _Found(found.name, Verdict.RUNS, f"{title or 'something'} listens there")
    if who & FRONTS and claim.component not in STORES:
        front = title_of(catalog, sorted(who & FRONTS)[0])
        return _Found(found.name, Verdict.RUNS, f"{front} listens there, in front of it")
    published = any(s.process.startswith("docker-pr") for s in there)
    if published and _in_container(found, claim.component):
        return _Found(found.name, Verdict.RUNS, "its container's port is published there")
    other = next((s for s in there if s.component or s.process), None)
    if other is None:
        return _Found(found.name, Verdict.UNKNOWN, "something listens there; whose it is can't be seen")
    name = title_of(catalog, other.component) or clean_line(other.process, 40)
    return _Found(found.name, Verdict.AMISS, f"{name} listens there, not {title}")


def _in_container(found: FoundHost, component: str) -> bool:
    assert found.snapshot is not None
    return any(r.component == component and contained(found.snapshot, r.instance) for r in found.running)


def _same(one: str, other: str) -> bool:
    return one == other or any({one, other} <= alike for alike in ALIKE)
