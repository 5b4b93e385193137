"""systemd as a ServiceManager: observed over D-Bus, changed by `sudo -n systemctl VERB UNIT`.

A job belongs to PID 1 from the moment systemctl has asked for it: it runs to its end whatever
becomes of the console, so a restart is never left half done. systemctl waits for exactly that end.
"""

from __future__ import annotations

from collections.abc import Callable

from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit, UnitHealth
from edxconsole.errors import (
    ActFailed,
    CommandFailed,
    CommandTimedOut,
    PermissionMissing,
    ServiceFault,
    UnitUnknown,
)
from edxconsole.services.base import ANY_UNIT, ActOutcome, Capabilities, Permit, Verb, no_phase
from edxconsole.services.dbus import SYSTEM_BUS
from edxconsole.services.guard import check_identity, check_permit
from edxconsole.services.sudo import allowed, rule
from edxconsole.services.systemd_reader import SystemdReader, is_pattern
from edxconsole.services.systemd_units import MANAGER, to_unit
from edxconsole.transport.base import Result, Transport, UnixEndpoint

DOWN = frozenset({UnitHealth.STOPPED, UnitHealth.FAILED})
VERBS = frozenset(str(verb) for verb in Verb)


class SystemdManager:
    """systemd of one host. Implements ServiceManager.

    Args:
        transport: the host's connection.
        patterns: which units list() gives, besides services that failed.
        login: the login user; "root" needs no sudo.
        socket: of the system bus.
    """

    def __init__(
        self,
        transport: Transport,
        patterns: tuple[str, ...] = (),
        *,
        login: str = "",
        socket: UnixEndpoint = SYSTEM_BUS,
    ) -> None:
        self._transport = transport
        self._patterns = patterns
        self._login = login
        self._reader = SystemdReader(transport, socket)

    @property
    def id(self) -> str:
        return MANAGER

    async def list(self) -> tuple[Unit, ...]:
        """Units the patterns name and services that failed. Raises ServiceUnavailable."""
        return tuple((await self._reader.units(self._patterns)).values())

    async def observe(self, name: str) -> Unit:
        """One unit, fresh. Raises UnitUnknown, ServiceUnavailable."""
        self._check_name(name)
        return to_unit(name, await self._reader.properties(name))

    async def capabilities(self) -> Capabilities:
        """Verbs by a look at `sudo -n -l`; whether one unit is allowed is only certain by acting."""
        version = await self._reader.version()
        await self._reader.units(())
        verbs = frozenset(Verb)
        if self._login != "root":
            listing = await self._transport.run(["sudo", "-n", "-l"], timeout=5.0)
            verbs = frozenset(Verb(word) for word in allowed(listing.text, "systemctl", VERBS))
        missing = {verb: self._rule(ANY_UNIT, verb) for verb in Verb if verb not in verbs}
        return Capabilities(version, verbs, self._reader.route, missing)

    def command(self, name: str, verb: Verb) -> str:
        words = " ".join(self._argv(name, verb))
        return words if self._login == "root" else f"sudo -n {words}"

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        """One systemd job, awaited to its end; see ServiceManager.act.

        Raises:
            NotConfirmed, IdentityDrift, UnitUnknown: nothing was done.
            ServiceFault: the unit can't reload, or can't be restarted safely (KillMode=none).
            PermissionMissing: sudo refused; the remedy is the rule.
            ActFailed: the job failed, or runs longer than the deadline (it goes on then).
        """
        check_permit(permit, host=self._transport.host_name, unit=name, verb=verb)
        self._check_name(name)
        properties = await self._reader.properties(name)
        unit = to_unit(name, properties)
        if self._already(unit, verb):
            return permit.outcome(f"it was {unit.word} already", already=True)
        check_identity(permit, unit.identity)
        self._check_safe(name, verb, properties.get("CanReload", ""), properties.get("KillMode", ""))
        result = await self._run(name, verb, deadline, permit=permit)
        after = await self.observe(name)
        if not result.ok or (after.health is UnitHealth.FAILED and verb is not Verb.STOP):
            raise self._failed(name, verb, result, after)
        return permit.outcome(after.word)

    async def close(self) -> None:
        await self._reader.close()

    def _already(self, unit: Unit, verb: Verb) -> bool:
        if verb is Verb.STOP:
            return unit.health in DOWN
        return verb is Verb.START and unit.health in (UnitHealth.RUNNING, UnitHealth.EXITED)

    def _check_safe(self, name: str, verb: Verb, can_reload: str, kill_mode: str) -> None:
        if verb is Verb.RELOAD and can_reload != "yes":
            raise ServiceFault(
                f"{name} has no reload", host=self._transport.host_name, remedy="restart it instead"
            )
        if verb is Verb.RESTART and kill_mode == "none":
            raise ServiceFault(
                f"{name} has KillMode=none: systemd would start it while the old one still runs",
                host=self._transport.host_name,
                remedy="stop it, wait until its processes are gone, then start it",
            )

    async def _run(self, name: str, verb: Verb, deadline: float, *, permit: Permit) -> Result:
        become = None if self._login == "root" else "root"
        try:
            return await self._transport.run(self._argv(name, verb), timeout=deadline, become=become)
        except CommandFailed as error:
            remedy = error.remedy or self._rule(name, verb)
            raise PermissionMissing(error.cause, host=permit.host, remedy=remedy) from error
        except CommandTimedOut as error:
            raise ActFailed(
                f"{verb} {name}: systemd's job is not done after {deadline:g} s; it goes on there",
                host=permit.host,
                remedy="look at it again before acting again",
            ) from error

    def _failed(self, name: str, verb: Verb, result: Result, after: Unit) -> ActFailed:
        said = clean_line(result.stderr.decode("utf-8", "replace"))
        parts = [p for p in (after.word, after.detail, said) if p]
        return ActFailed(f"{verb} {name}: {', '.join(parts)}", host=self._transport.host_name)

    def _argv(self, name: str, verb: Verb) -> tuple[str, ...]:
        return ("systemctl", str(verb), name)

    def _rule(self, name: str, verb: Verb) -> str:
        return rule(self._login, f"/bin/systemctl {verb} {name}")

    def _check_name(self, name: str) -> None:
        if not name or name.startswith("-") or is_pattern(name) or name.split() != [name]:
            raise UnitUnknown(
                f"{clean_line(name)!r} is not the name of one unit", host=self._transport.host_name
            )
