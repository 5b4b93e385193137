"""What hosts.yaml should say of a cluster as it was found: groups by role, what to expect, sites. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.cluster.text import clean_line
from edxconsole.discovery.model import FoundHost, Install, Kind
from edxconsole.discovery.sentences import STORES
from edxconsole.inventory.names import MAX_SITES, check_site

ROLES: Mapping[str, frozenset[str]] = {
    "app": frozenset({"lms", "cms", "edxapp_worker"}),
    "web": frozenset({"nginx", "caddy"}),
    "data": frozenset(STORES),
}
"""group -> components of which its hosts run at least one; a host with LMS is in `app` only"""
SITE_KEYS = (("LMS_BASE", "LMS_HOST"), ("CMS_BASE", "CMS_HOST"))
"""where edX's files and Tutor's config.yml name the sites of LMS and of Studio"""
_FIRST = "app"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to write: `expect` holds hosts and the groups of `groups` only."""

    groups: dict[str, list[str]] = field(default_factory=dict)
    expect: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """host -> comments, one line each"""
    sites: tuple[str, ...] = ()
    """public names, those of LMS and Studio first; no more than hosts.yaml may have"""
    more_sites: tuple[str, ...] = ()
    """those for which there is no room"""


def propose(hosts: Mapping[str, FoundHost], taken: Collection[str] = ()) -> Proposal:
    """Groups, expectations and comments. A host that was not reached is in none of the first two.

    Args:
        taken: names of hosts and groups, which no new group may have.
    """
    groups = _groups(hosts, {*taken, *hosts})
    expect: dict[str, list[str]] = {}
    left = {name: list(host.expected) for name, host in hosts.items()}
    for group, members in groups.items():
        common = [c for c in left[members[0]] if all(c in hosts[m].expected for m in members)]
        if common:
            expect[group] = common
        for member in members:
            left[member] = [c for c in left[member] if c not in common]
    expect |= {name: components for name, components in left.items() if components}
    notes = {name: notes_of(host) for name, host in hosts.items()}
    sites = sites_of(hosts.values())
    return Proposal(groups, expect, notes, sites[:MAX_SITES], sites[MAX_SITES:])


def sites_of(hosts: Iterable[FoundHost]) -> tuple[str, ...]:
    """The public names that the files in force give LMS and Studio, then those that nginx serves by TLS."""
    configs = [config for host in hosts for config in host.configs if config.in_force]
    said = [
        claim.host
        for key in SITE_KEYS
        for config in configs
        for claim in config.claims
        if claim.key in key and not config.upstreams
    ]
    said += [name for config in configs for name in config.names]
    return tuple(dict.fromkeys(name.lower() for name in said if is_public(name)))


def is_public(name: str) -> bool:
    """Whether browsers elsewhere may know a site by it: a host name with a dot, and none of this machine."""
    try:
        check_site(name)
    except ValueError:
        return False
    return name.lower().rpartition(".")[2] not in ("", "localhost", "localdomain") and "." in name


def _groups(hosts: Mapping[str, FoundHost], taken: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, host in hosts.items():
        for role in roles_of(host):
            found.setdefault(role, []).append(name)
    if len(hosts) < 2:
        return {}
    return {role: found[role] for role in ROLES if role in found and role not in taken}


def roles_of(host: FoundHost) -> tuple[str, ...]:
    """The groups a host belongs to by what runs there."""
    runs = set(host.expected)
    if runs & ROLES[_FIRST]:
        return (_FIRST,)
    return tuple(role for role, components in ROLES.items() if runs & components)


def notes_of(host: FoundHost) -> tuple[str, ...]:
    """What was found, for a comment above the host."""
    if not host.reached:
        return (clean_line(f"not reached, so nothing is expected: {host.reason or 'no answer'}"),)
    notes = [install_text(install) for install in host.installs]
    jobs = [r.component for r in host.running if not r.lasting]
    if jobs:
        notes.append(f"runs, but may end, so it is not expected: {', '.join(jobs)}")
    notes += [f"not expected, as it does not run now: {i.component}: {i.reason}" for i in host.idle]
    return tuple(clean_line(note, 200) for note in notes)


def install_text(install: Install) -> str:
    """One install in words: "classic Open edX, Koa to Quince (supervisord is 4.2.1)"."""
    match install.kind:
        case Kind.NONE:
            return "nothing of Open edX itself, only services"
        case Kind.UNKNOWN:
            return "what was installed can't be seen"
        case Kind.CLASSIC:
            what = "classic Open edX"
        case _:
            what = f"Tutor, project {install.project}" if install.project else "Tutor"
    release = install.release or "release unknown"
    return f"{what}, {release}{_because(install.evidence)}"


def _because(evidence: Sequence[str]) -> str:
    return f" ({'; '.join(evidence[:3])})" if evidence else ""
