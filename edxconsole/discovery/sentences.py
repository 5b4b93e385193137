"""What discovery tells of a topology, one sentence each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edxconsole.catalog.model import Catalog
from edxconsole.discovery.model import Edge, FoundHost, Verdict
from edxconsole.inventory.model import Inventory

STORES = ("mysql", "mongodb", "memcached", "redis", "rabbitmq", "elasticsearch", "meilisearch")
"""what runs only because some file names it"""
SITE = "upstream "
"""how the key of a claim by nginx begins"""


def title_of(catalog: Catalog, component: str) -> str:
    """ "" for what the catalog does not know."""
    known = catalog.get(component)
    return known.title if known is not None else ""


def is_amiss(edge: Edge) -> bool:
    """A database elsewhere is a choice; an application host that nobody knows is not."""
    member = any(key.startswith(SITE) for _, key in edge.sources)
    return edge.verdict is Verdict.AMISS or (edge.verdict is Verdict.OUTSIDE and member)


def sentence_of(edge: Edge, catalog: Catalog) -> str:
    """One sentence: who says what, and what is found."""
    files = list(dict.fromkeys(path for path, _ in edge.sources))
    more = f" and {len(files) - 2} more" if len(files) > 2 else ""
    named = " and ".join(files[:2]) if not more else f"{files[0]}, {files[1]}{more}"
    title = title_of(catalog, edge.component)
    verb = "names" if len(files) == 1 else "name"
    upstream = next((key for _, key in edge.sources if key.startswith(SITE)), "")
    what = f"{verb} {title} {edge.endpoint}" if title else f"{verb} {edge.endpoint}"
    if upstream:
        what = f"{verb} {edge.endpoint} in {upstream}"
    there = (
        f" on {edge.target}" if edge.target not in (None, edge.host) and edge.text.endswith("there") else ""
    )
    return f"{edge.host}: {named} {what}; {edge.text}{there}."


def never_installed(edges: Iterable[Edge], catalog: Catalog) -> Iterator[str]:
    """One sentence for each host."""
    absent: dict[str, dict[str, None]] = {}
    for edge in edges:
        if edge.verdict is Verdict.ABSENT:
            absent.setdefault(edge.host, {})[title_of(catalog, edge.component)] = None
    for host, titles in absent.items():
        said = "its files name what was seen nowhere and may never have been installed"
        yield f"{host}: {said}: {', '.join(titles)}."


def contradictions(hosts: Iterable[FoundHost]) -> Iterator[str]:
    for host in hosts:
        for install in host.installs:
            if install.contradiction:
                yield f"{host.name}: its signs of a release contradict each other: {install.contradiction}."


def blind_spots(hosts: Iterable[FoundHost], inventory: Inventory) -> Iterator[str]:
    """One sentence for each thing that could not be looked at."""
    for host in hosts:
        if not host.reached:
            reason = host.reason or "it was not reached."
            yield reason if reason.startswith(f"{host.name}:") else f"{host.name}: {reason}"
        for missing in host.missing:
            remedy = f"; {missing.remedy}" if missing.remedy else ""
            yield f"{host.name}: {missing.what} not seen: {missing.cause}{remedy}."
    seen = {host.name for host in hosts}
    left = [name for name in inventory.hosts if name not in seen]
    if left:
        yield f"Not looked at: {', '.join(left)}."


def unnamed_stores(
    hosts: Mapping[str, FoundHost], edges: Iterable[Edge], catalog: Catalog, blind: bool
) -> tuple[list[str], list[str]]:
    """Stores that run though no file names them: as disagreements, or as unknown where not all was seen."""
    named = {(e.target, e.component) for e in edges if e.target is not None}
    read = any(c.in_force and c.claims for h in hosts.values() for c in h.configs if not c.upstreams)
    amiss: list[str] = []
    unknown: list[str] = []
    for host in hosts.values():
        runs = [r.component for r in host.running if r.component in STORES]
        alone = [title_of(catalog, c) for c in runs if (host.name, c) not in named]
        if read and not blind:
            amiss += [f"{title} runs on {host.name} and no configuration names it." for title in alone]
        elif alone:
            why = "not all of them could be seen" if read else "none of an application was found"
            which = f"{', '.join(alone)} on {host.name}"
            unknown.append(f"Whether a configuration names {which} is not known: {why}.")
    return amiss, unknown
