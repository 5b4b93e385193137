"""What there is to say of a host or of a component on a host, as facts for a DetailView."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edxconsole.cluster.model import HostSnapshot, Instance, Link
from edxconsole.cluster.running import processes_of, users_of
from screens.bridge import Bridge
from widgets.detail_view import Fact
from widgets.ink import Role
from widgets.states import STATE, link_look, state_on
from widgets.words import since, size, span, told

if TYPE_CHECKING:
    from edxconsole.catalog.model import Component

_BLANK = Fact("", "")
_FINE = 60.0
"""an observation younger than this is simply current: its age would only flicker"""


def host_facts(bridge: Bridge, host: HostSnapshot) -> Iterator[Fact]:
    """Link, system, notes on what can't be seen, and what watching costs."""
    clock = bridge.clock
    look = link_look(host, clock)
    yield Fact("host", host.name, Role.STRONG)
    when = f"since {since(host.since, clock.now())}"
    yield Fact("link", f"{look.word}, {when}", look.role, f"{look.glyph} ")
    if host.reason:
        yield Fact("because", host.reason)
    yield Fact("reached as", _reached(host))
    if host.hostname:
        python = "a POSIX shell, essentials only" if host.shell_probe else f"Python {host.python}"
        yield Fact("system", f"{host.hostname}, {host.kernel}, {python}")
    if host.groups:
        yield Fact("groups", ", ".join(host.groups))
    if host.vitals is not None:
        v = host.vitals
        yield Fact("load", f"{v.load[0]:.2f} {v.load[1]:.2f} {v.load[2]:.2f} on {v.cores} cores")
        yield Fact("memory", f"{size(v.mem_available)} free of {size(v.mem_total)}")
        for disk in v.disks:
            yield Fact("disk", f"{disk.mount}: {size(disk.free)} free of {size(disk.total)}")
    if host.skew is not None and abs(host.skew) >= 0.5:
        side = "ahead" if host.skew > 0 else "behind"
        yield Fact("clock", f"{abs(host.skew):.1f} s {side} of this console", Role.DEGRADED)
    for note in host.notes:
        yield Fact("not seen", note, Role.UNKNOWN)
    if host.cost is not None:
        yield Fact("costs it", f"{host.cost.cpu:.1f} % of a core, {size(host.cost.rss)} of memory", Role.DIM)


def _reached(host: HostSnapshot) -> str:
    """ "ops@192.0.2.11 by asyncssh", or that no SSH is needed."""
    if host.transport == "local":
        return "this machine, without SSH"
    address = f"{host.user}@{host.address}" if host.user else host.address
    return f"{address} by {host.transport}" if host.transport else address


def component_facts(bridge: Bridge, host: HostSnapshot, component: str) -> Iterator[Fact]:
    """State with evidence and ages, and what the catalog knows."""
    known = bridge.component(component)
    instance = next((i for i in host.instances if i.component == component), None)
    yield Fact("component", f"{bridge.titles.get(component, component)} on {host.name}", Role.STRONG)
    if instance is None:
        yield Fact("state", f"not on {host.name}, and not expected there", Role.DIM)
    else:
        yield from _instance_facts(bridge, host, instance)
    if known is not None:
        yield _BLANK
        yield from _catalog_facts(bridge, known)


def _instance_facts(bridge: Bridge, host: HostSnapshot, instance: Instance) -> Iterator[Fact]:
    look = state_on(host, instance.state)
    now = bridge.clock.now()
    when = f" since {since(instance.since, now)}" if instance.since is not None else ""
    yield Fact("state", f"{look.word}{when}", look.role, f"{look.glyph} ")
    if not host.trusted:
        link = link_look(host, bridge.clock)
        yield Fact("", f"{host.name} is {link.word}: {host.reason or 'nothing heard'}", link.role)
    if instance.reason:
        yield Fact("because", told(instance.reason))
    if instance.units:
        yield Fact("managed as", ", ".join(u.rpartition("/")[2] for u in instance.units))
    if instance.workers_expected is not None or instance.workers_found is not None:
        yield Fact("workers", workers(instance))
    if instance.ports:
        yield Fact("ports", ", ".join(str(p) for p in instance.ports))
    users = users_of(processes_of(host, instance))
    if users:
        yield Fact("runs as", ", ".join(users))
    if instance.pids:
        shown = ", ".join(str(p) for p in instance.pids[:8])
        yield Fact("pids", shown + (" …" if len(instance.pids) > 8 else ""))
    yield from evidence_facts(bridge, host, instance)


def evidence_facts(bridge: Bridge, host: HostSnapshot, instance: Instance) -> Iterator[Fact]:
    """Which observation says what, each with its age once that is worth saying."""
    label = "evidence"
    for item in instance.evidence:
        look = STATE[item.state]
        age = bridge.clock.monotonic() - item.age.seen
        old = f", {span(age)} ago" if item.age.seen > 0 and (age >= _FINE or not host.trusted) else ""
        if item.source == "health" and item.age.seen > 0 and not old:
            old = ", less than a minute ago"
        role = look.role if host.trusted else Role.STALE
        glyph = look.glyph if host.trusted else "≈"
        rate = f", asked every {item.every:g} s or so" if item.every is not None else ""
        yield Fact(label, f"{item.source}: {told(item.text)}{rate}{old}", role, f"{glyph} ")
        label = ""


def workers(instance: Instance) -> str:
    """ "3 of 4 usual": what was found, of what the catalog or the configuration lets expect."""
    found = "unknown" if instance.workers_found is None else str(instance.workers_found)
    if instance.workers_expected is None:
        return f"{found} found; how many are usual is not known"
    return f"{found} of {instance.workers_expected} usual"


def _catalog_facts(bridge: Bridge, known: Component) -> Iterator[Fact]:
    yield Fact("does", known.what)
    yield Fact("if down", known.breaks)
    if known.depends:
        yield Fact("needs", ", ".join(bridge.titles.get(d, d) for d in known.depends))
    if known.uses:
        yield Fact("uses", ", ".join(bridge.titles.get(d, d) for d in known.uses))
    if known.first_log:
        yield Fact("look at", known.first_log)


def link_is_new(host: HostSnapshot) -> bool:
    """Whether nothing can be known of a host yet."""
    return host.link in (Link.WAITING, Link.CONNECTING, Link.AUTHENTICATING, Link.PROBING)
