"""Which commands edxconsole runs through sudo, as sudoers rules. Exactly what the code runs, no more.

The commands are those of transport/relay.py (to the sockets of supervisord and of Docker), inspect/rights.py,
the catalog's preflights and services/{systemd,sysv,hup,supervisor_client}.py.

In sudoers a ':' , ',' , '=' or '\\' in an argument is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edxconsole.catalog.model import Catalog, Component
from edxconsole.inspect.rights import rights_of
from edxconsole.inventory.model import Inventory

SUPERVISOR_SOCKET = "/edx/var/supervisor/supervisor.sock"
SUPERVISOR_CONFIG = "/edx/app/supervisor/supervisord.conf"
DOCKER_SOCKET = "/var/run/docker.sock"
WEB_USER = "www-data"
PROBE = "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Rule:
    """One command a login may run without a password."""

    user: str
    command: str
    """path and arguments, already escaped for sudoers"""
    why: str
    optional: bool = False
    """printed as a comment: worth a decision of its own"""

    def line(self, login: str) -> str:
        return f"{login} ALL=({self.user}) NOPASSWD: {self.command}"

    def plain(self, login: str) -> dict[str, object]:
        return {"line": self.line(login), "why": self.why, "optional": self.optional}


def rules_for(
    inventory: Inventory, catalog: Catalog, hosts: Sequence[str], *, read_only: bool = False
) -> list[Rule]:
    """The rules for these hosts. Where `expect:` says what runs on them, only for that."""
    expected = set().union(*(inventory.expected_on(host) for host in hosts))
    components = [c for c in catalog.components.values() if not expected or c.id in expected]
    rules = [*_looking(components), *_docker(components)]
    if not read_only:
        rules += _changing(components)
    return list(dict.fromkeys(rules))


def _looking(components: Iterable[Component]) -> Iterable[Rule]:
    if any(c.id == "supervisor" or (c.managers.supervisor and not c.managers.systemd) for c in components):
        why = "read and control supervisord through its own socket (this equals a shell as www-data)"
        socket = escape(SUPERVISOR_SOCKET)
        yield Rule(WEB_USER, rf"/usr/bin/socat -d -d -t3600 - UNIX-CONNECT\:{socket}", why)
        yield Rule(WEB_USER, f"/usr/bin/nc -N -U {socket}", why)
        yield Rule(
            WEB_USER, f"/bin/cat {escape(SUPERVISOR_CONFIG)}, /usr/bin/cat {escape(SUPERVISOR_CONFIG)}", why
        )
    for component in components:
        why = f"open {component.title} up (edxconsole inspect); nothing of it changes the host"
        for right in rights_of(component):
            yield Rule(right.user, words(right.argv), why, optional=right.secret)
    for component in components:
        for name in component.managers.sysv:
            if plain(name):
                why = f"see whether {component.title} runs where there is no systemd"
                yield Rule("root", f"/usr/sbin/service {name} status", why, optional=True)
    why = (
        "see every process's ports and every log: the probe as root. This equals root; without it the "
        "console says what it can't see"
    )
    yield Rule("root", PROBE, why, optional=True)


def _docker(components: Iterable[Component]) -> Iterable[Rule]:
    """Where containers of a compose project are expected, or what runs there is not known."""
    if not any(c.managers.compose for c in components):
        return
    why = (
        "see and control containers (Tutor) through Docker's socket. This equals root, as the group docker "
        "does; for a login that is in neither, the console says what it can't see"
    )
    socket = escape(DOCKER_SOCKET)
    yield Rule("root", rf"/usr/bin/socat -d -d -t3600 - UNIX-CONNECT\:{socket}", why, optional=True)
    yield Rule("root", f"/usr/bin/nc -N -U {socket}", why, optional=True)


def _changing(components: Iterable[Component]) -> Iterable[Rule]:
    for component in components:
        yield from _preflights(component)
        if component.actions.reload is not None and component.actions.reload.method == "hup-master":
            for path in ("/bin/kill", "/usr/bin/kill"):
                yield Rule(
                    component.user[0] if component.user else WEB_USER,
                    f"{path} -HUP [0-9]*",
                    "reload gunicorn masters",
                )
        for name in component.managers.systemd:
            if plain(name):
                yield Rule("root", ", ".join(_systemctl(component, name)), f"control {component.title}")
        for name in component.managers.sysv:
            if plain(name):
                commands = [f"/usr/sbin/service {name} {verb}" for verb in _verbs(component)]
                why = f"control {component.title} where there is no systemd"
                yield Rule("root", ", ".join(commands), why, optional=True)


def _preflights(component: Component) -> Iterable[Rule]:
    commands = {
        a.preflight for verb in _verbs(component) if (a := getattr(component.actions, verb)) and a.preflight
    }
    for argv in sorted(commands):
        yield Rule(
            "root", " ".join(escape(word) for word in argv), f"check {component.title} before acting on it"
        )


def _verbs(component: Component) -> list[str]:
    """The verbs edxconsole offers for it: those of the catalog that are not refused."""
    verbs = []
    for verb in ("start", "stop", "restart", "reload"):
        action = getattr(component.actions, verb)
        if action is not None and action.method == "manager":
            verbs.append(verb)
    return verbs


def _systemctl(component: Component, unit: str) -> list[str]:
    return [
        f"{path} {verb} {unit}"
        for path in ("/bin/systemctl", "/usr/bin/systemctl")
        for verb in _verbs(component)
    ]


def plain(name: str) -> bool:
    """Names with wildcards get no rule: one is written for what really runs there."""
    return re.fullmatch(r"[A-Za-z0-9@._-]+", name) is not None


def words(argv: Sequence[str]) -> str:
    """A whole command as sudoers(5) wants it; a wildcard in it stands for itself."""
    return " ".join(re.sub(r'([\\,:=\s"*?\[\]!#])', r"\\\1", word) for word in argv)


def escape(word: str) -> str:
    """An argument as sudoers(5) wants it."""
    return re.sub(r"([,:=\\])", r"\\\1", word)
