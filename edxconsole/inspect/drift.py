"""Drift: the same fact on all hosts of one component, folded to who says the same and who differs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.catalog.drift import DriftRules
from edxconsole.inspect.host_ranges import fold_hosts

MAX_DIFFERENCES = 1000
"""of one component"""
NOT_THERE = "not there"
EVERYTHING = "everything"
"""the kind of facts that are unread where a host could not be looked at"""


@dataclass(frozen=True, slots=True)
class Said:
    """One fact of a component on one host."""

    kind: str
    """package, python_package, code, system, unit, config_file, config_files (of a directory), setting,
    lms_setting, cms_setting"""
    name: str
    shown: str
    """fit to be shown: secrets masked"""
    token: bytes = field(repr=False)
    """what it is compared by: a hash with this run's salt, never shown"""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """Facts of one kind that could not be read on a host, and what would let them be."""

    kind: str
    cause: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What one host says of one component."""

    host: str
    component: str
    said: tuple[Said, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that say the same."""

    hosts: tuple[str, ...]
    shown: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that is not the same everywhere; the largest group comes first."""

    kind: str
    name: str
    groups: tuple[Group, ...]
    secret: bool

    @property
    def text(self) -> str:
        """app[1-3] same; app4 differs: X instead of Y."""
        first, *others = self.groups
        hidden = self.secret or len({g.shown for g in self.groups}) < len(self.groups)
        clear = len(first.hosts) > 1 and all(len(first.hosts) > len(g.hosts) for g in others)
        if clear and hidden:
            rest = "; ".join(f"{fold_hosts(g.hosts)} {_differs(g, self.secret)}" for g in others)
            return f"{fold_hosts(first.hosts)} same; {rest}"
        if clear:
            rest = "; ".join(f"{fold_hosts(g.hosts)} differs: {g.shown}" for g in others)
            return f"{fold_hosts(first.hosts)} same: {first.shown}; {rest}"
        if hidden and not self.secret:
            return f"{'; '.join(f'{fold_hosts(g.hosts)}: {g.shown}' for g in self.groups)}; they differ"
        if hidden and NOT_THERE not in {g.shown for g in self.groups}:
            return f"{' and '.join(fold_hosts(g.hosts) for g in self.groups)} differ"
        return "; ".join(f"{fold_hosts(g.hosts)}: {g.shown}" for g in self.groups)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Hosts of which something is not known: neither the same nor different."""

    hosts: tuple[str, ...]
    kind: str
    cause: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """One component and all hosts that have it."""

    component: str
    hosts: tuple[str, ...]
    same: int
    """facts that two hosts or more told, all the same"""
    differences: tuple[Difference, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    left_out: int = 0
    """differences that were too many to keep"""


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A secret that two components must have in common. `same` is None where a side is not known."""

    what: str
    same: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Drift:
    """All components that were compared."""

    roles: tuple[Role, ...]
    secrets: tuple[SharedSecret, ...]

    @property
    def differs(self) -> bool:
        return any(role.differences for role in self.roles) or any(s.same is False for s in self.secrets)


def fold_all(facts: Sequence[HostFacts], rules: DriftRules) -> Drift:
    """Components in the order of their first host's facts. What one says of a set of hosts is said once."""
    by_component: dict[str, list[HostFacts]] = {}
    for one in facts:
        by_component.setdefault(one.component, []).append(one)
    seen: set[tuple[str, str, tuple[Group, ...]]] = set()
    roles = [_role(component, hosts, seen) for component, hosts in by_component.items()]
    return Drift(tuple(roles), tuple(_shared(by_component, rules)))


def _role(component: str, facts: Sequence[HostFacts], seen: set[tuple[str, str, tuple[Group, ...]]]) -> Role:
    tables = {one.host: {(s.kind, s.name): s for s in one.said} for one in facts}
    blind = {one.host: {u.kind for u in one.unread} for one in facts}
    same, differences = 0, []
    for key in dict.fromkeys(key for table in tables.values() for key in table):
        known = [h for h in tables if key[0] not in blind[h] and EVERYTHING not in blind[h]]
        if len(known) < 2:
            continue
        found = _difference(key, {host: tables[host].get(key) for host in known})
        same += found is None
        if found is not None and (found.kind, found.name, found.groups) not in seen:
            seen.add((found.kind, found.name, found.groups))
            differences.append(found)
    kept = _collapsed(differences, tables)
    return Role(
        component,
        tuple(tables),
        same,
        tuple(kept[:MAX_DIFFERENCES]),
        tuple(_unknown(facts)),
        max(len(kept) - MAX_DIFFERENCES, 0),
    )


def _difference(key: tuple[str, str], said: Mapping[str, Said | None]) -> Difference | None:
    by_token: dict[bytes | None, list[str]] = {}
    for host, one in said.items():
        by_token.setdefault(one.token if one else None, []).append(host)
    if len(by_token) < 2:
        return None
    groups = []
    for token, hosts in sorted(by_token.items(), key=lambda item: -len(item[1])):
        one = said[hosts[0]]
        groups.append(Group(tuple(hosts), one.shown if one is not None and token is not None else NOT_THERE))
    return Difference(*key, tuple(groups), any(one.secret for one in said.values() if one is not None))


def _collapsed(
    differences: Sequence[Difference], tables: Mapping[str, Mapping[tuple[str, str], Said]]
) -> list[Difference]:
    """Where a host says nothing of a kind at all, that is one difference, not one for each fact."""
    kinds = {host: {kind for kind, _ in table} for host, table in tables.items()}
    kept: dict[tuple[str, str, tuple[Group, ...]], Difference] = {}
    for one in differences:
        lacking = one.groups[-1] if one.groups[-1].shown == NOT_THERE else one.groups[0]
        whole = lacking.shown == NOT_THERE and all(one.kind not in kinds[host] for host in lacking.hosts)
        if whole and len(one.groups) == 2:
            other = next(g for g in one.groups if g is not lacking)
            groups = (Group(other.hosts, "there"), Group(lacking.hosts, NOT_THERE))
            one = Difference(one.kind, "all", groups, False)
        kept.setdefault((one.kind, one.name, one.groups), one)
    return list(kept.values())


def _unknown(facts: Iterable[HostFacts]) -> Iterable[Unknown]:
    hosts: dict[Unread, list[str]] = {}
    for one in facts:
        for unread in dict.fromkeys(one.unread):
            hosts.setdefault(unread, []).append(one.host)
    return (Unknown(tuple(names), u.kind, u.cause, u.remedy) for u, names in hosts.items())


def _shared(by_component: Mapping[str, Sequence[HostFacts]], rules: DriftRules) -> Iterable[SharedSecret]:
    for pair in rules.shared_secrets:
        if not all(component in by_component for component in pair):
            continue
        sides = {c: _holders(by_component[c], key) for c, key in pair.items()}
        unread = [c for c in pair if not sides[c] and _blind(by_component[c])]
        if not any(sides.values()) and not unread:
            continue
        what = " = ".join(f"{key} of {component}" for component, key in pair.items())
        where = " and ".join(f"{key} of {c} ({fold_hosts(sides[c]) or 'none'})" for c, key in pair.items())
        if not all(sides.values()):
            word = "can't be compared: not all was read" if unread else "can't be compared: one is not set"
            yield SharedSecret(what, None, f"{where} {word}")
            continue
        tokens = {token for side in sides.values() for token in side.values()}
        word = "are the same" if len(tokens) == 1 else "are not the same, though they must be"
        yield SharedSecret(what, len(tokens) == 1, f"{where} {word}")


def _blind(facts: Iterable[HostFacts]) -> bool:
    """Whether settings of a component could not be read somewhere."""
    return any(
        unread.kind in (EVERYTHING, "setting", f"{one.component}_setting")
        for one in facts
        for unread in one.unread
    )


def _holders(facts: Iterable[HostFacts], key: str) -> dict[str, bytes]:
    """Host -> what it compares by, where the secret was read and is not empty."""
    return {
        one.host: said.token
        for one in facts
        for said in one.said
        if said.name == key and said.kind in (f"{one.component}_setting", "setting") and said.secret
    }


def _differs(group: Group, secret: bool) -> str:
    if group.shown == NOT_THERE:
        return f"differs: {NOT_THERE}"
    return "differs (secret, not shown)" if secret else f"differs in what is not shown: {group.shown}"
