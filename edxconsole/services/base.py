"""What every service manager gives: list, observe, act, capabilities.

`act` changes a host. It takes a Permit, which only `edxconsole/plans/interlock.py` makes;
`tests/unit/test_interlock_is_the_only_way.py` walks the code to prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from edxconsole.cluster.units import Identity, Unit

ANY_UNIT = "<unit>"
"""stands in the remedies of a whole manager for the unit's name"""


class Verb(StrEnum):
    """What can be done to a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this manager can do on this host for this login, and what is missing for the rest."""

    version: str
    verbs: frozenset[Verb]
    route: str
    """how it is spoken to, for the eye: "127.0.0.1:9001", "sudo -u www-data relay", "D-Bus" """
    missing: Mapping[Verb, str] = field(default_factory=dict)
    """per verb that can't be done: the remedy in one clause, for ANY_UNIT where it names a unit"""
    warnings: tuple[str, ...] = ()
    """posture: "port 9001 has no password", "CVE-2017-11610 (3.2.3)" """

    def of_unit(self, name: str) -> Capabilities:
        """The same with remedies that name this unit."""
        missing = {verb: text.replace(ANY_UNIT, name) for verb, text in self.missing.items()}
        return replace(self, missing=missing)


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """What the manager said to an act that was accepted. State must be observed separately."""

    verb: Verb
    unit: str
    before: Identity
    detail: str
    already: bool = False
    """it was already so (supervisor faults 60 ALREADY_STARTED, 70 NOT_RUNNING)"""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to change one unit once. Made by the interlock only, right before the act."""

    plan: str
    host: str
    unit: str
    verb: Verb
    before: Identity
    any_run: bool = False
    """confirmed for whatever run it is in: it restarts by itself faster than one can be confirmed"""

    def outcome(self, detail: str, *, already: bool = False) -> ActOutcome:
        """What came of the act that this allowed."""
        return ActOutcome(self.verb, self.unit, self.before, detail, already=already)


def no_phase(text: str) -> None:
    """The default `on_phase`: nobody listens."""


class ServiceManager(Protocol):
    """One service manager on one host."""

    @property
    def id(self) -> str:
        """As in Unit.manager."""
        ...

    async def list(self) -> tuple[Unit, ...]:
        """Every unit it knows. Raises ServiceUnavailable, PermissionMissing."""
        ...

    async def observe(self, name: str) -> Unit:
        """One unit, fresh from the manager. Raises UnitUnknown and as list()."""
        ...

    async def capabilities(self) -> Capabilities: ...

    def command(self, name: str, verb: Verb) -> str:
        """The exact command or call that act() will make, as shown to the operator."""
        ...

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        """Do it; return when the manager reports the end state, at most `deadline` seconds later.

        START returns when running (or STARTING passed), STOP when stopped, RESTART is stop
        then start with the manager's own semantics made safe, RELOAD is whatever the manager
        calls reload. `on_phase` hears each phase of a longer act ("stopping", "stopped",
        "starting") as it begins; it must only take note. Raises ActFailed on time-out or a bad
        end state, PermissionMissing, ServiceFault.
        """
        ...

    async def close(self) -> None: ...
