"""supervisord as a ServiceManager: list, observe, capabilities, act.

Rules, each measured on 3.0, 3.1.3, 3.2.3 and 4.x (services.md section 1): only per-process calls
with wait=False, the console polls and keeps the deadline; group calls, shutdown, restart,
clear*, reloadConfig and update are never made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edxconsole.cluster.model import SupervisorInfo
from edxconsole.cluster.text import clean_line
from edxconsole.cluster.units import Unit
from edxconsole.errors import ServiceError, ServiceFault, UnitUnknown
from edxconsole.services.base import ActOutcome, Capabilities, Permit, Verb, no_phase
from edxconsole.services.guard import check_identity, check_permit
from edxconsole.services.supervisor_act import Act
from edxconsole.services.supervisor_client import SupervisorClient
from edxconsole.services.supervisor_posture import can_signal, parse_version, warnings
from edxconsole.services.supervisor_program import Program, from_answer
from edxconsole.transport.base import Transport

BAD_NAME = 10
NO_RELOAD = "supervisord can't reload one program; a SIGHUP to the master process can, where it reloads"


@dataclass(frozen=True, slots=True)
class SupervisorPlace:
    """Where a supervisord is. `endpoint` as the probe tells it; `owner` of its socket."""

    id: str
    endpoint: str
    owner: str = ""
    config: str = ""
    pid: int | None = None

    @classmethod
    def of(cls, info: SupervisorInfo) -> SupervisorPlace:
        return cls(info.id, info.endpoint, info.owner, info.config, info.identity.pid)


class SupervisorManager:
    """One supervisord on one host. Implements ServiceManager."""

    def __init__(self, transport: Transport, place: SupervisorPlace) -> None:
        self._transport = transport
        self._place = place
        self._client = SupervisorClient(
            transport, place.endpoint, owner=place.owner, config=place.config, pid=place.pid
        )

    @property
    def id(self) -> str:
        return self._place.id

    @property
    def route(self) -> str:
        """How supervisord is spoken to, "" before the first call."""
        return str(self._client.route or "")

    async def list(self) -> tuple[Unit, ...]:
        """Every program. Raises ServiceUnavailable, PermissionMissing."""
        try:
            answer = await self._client.read("supervisor.getAllProcessInfo")
        finally:
            self._client.release()
        rows = answer if isinstance(answer, list) else []
        return tuple(from_answer(row).unit(self.id) for row in rows)

    async def observe(self, name: str) -> Unit:
        """One program, fresh. Raises UnitUnknown and as list()."""
        try:
            return (await self.program(name)).unit(self.id)
        finally:
            self._client.release()

    async def program(self, name: str) -> Program:
        """One program with all that supervisord tells of it. Raises UnitUnknown and as list()."""
        self._check_name(name)
        try:
            return from_answer(await self._client.read("supervisor.getProcessInfo", name))
        except ServiceFault as fault:
            if fault.code == BAD_NAME:
                raise self._unknown(name) from fault
            raise

    async def version(self) -> str:
        """supervisord's own version, e.g. "3.2.3"."""
        answer = await self._client.read("supervisor.getSupervisorVersion")
        return clean_line(answer, 20) if isinstance(answer, str) else ""

    async def capabilities(self) -> Capabilities:
        """Raises ServiceUnavailable, PermissionMissing when there is no way to supervisord at all."""
        try:
            version = await self.version()
            route = self._client.route
            config = await self._client.server_config()
        finally:
            self._client.release()
        return Capabilities(
            version=version,
            verbs=frozenset({Verb.START, Verb.STOP, Verb.RESTART}),
            route=self.route,
            missing={Verb.RELOAD: NO_RELOAD},
            warnings=warnings(version, route, config) if route else (),
        )

    def command(self, name: str, verb: Verb) -> str:
        """The XML-RPC calls, as shown to the operator."""
        start, stop = f"startProcess({name}, wait=False)", f"stopProcess({name}, wait=False)"
        match verb:
            case Verb.START:
                return start
            case Verb.STOP:
                return stop
            case Verb.RESTART:
                return f"{stop}, wait until stopped, {start}"
            case Verb.RELOAD:
                return f"none: {NO_RELOAD}"

    async def act(
        self,
        name: str,
        verb: Verb,
        *,
        permit: Permit,
        deadline: float,
        on_phase: Callable[[str], None] = no_phase,
    ) -> ActOutcome:
        """Start, stop or restart one program; see ServiceManager.act.

        A restart is two calls, and supervisord forgets the second with its caller: a keeper on the
        host finishes it when the console does not (supervisor_keeper.py). `on_phase` is told
        "stopping", "stopped" and "starting" as they happen, and "unguarded: REASON" where there is
        no keeper: a journal that ends at "stopped" then names a program that must be started.

        Raises:
            NotConfirmed: the permit is for something else.
            IdentityDrift: the program is no longer the run that was confirmed.
            ActFailed: the deadline passed, or it ended in BACKOFF or FATAL.
            ServiceFault: supervisord refused, or RELOAD was asked for.
        """
        check_permit(permit, host=self._transport.host_name, unit=name, verb=verb)
        if verb is Verb.RELOAD:
            raise ServiceFault(NO_RELOAD, host=self._transport.host_name)
        act = Act(self._transport, self._client, lambda: self.program(name), name, permit, deadline, on_phase)
        try:
            return await act.run()
        finally:
            self._client.release()

    async def signal(self, name: str, signal: str, *, permit: Permit) -> None:
        """Send a signal to the supervised process itself (not its group), by signalProcess.

        Only right when that process is the master: a wrapper shell would die of it.
        Raises ServiceFault below 3.2.0, NotConfirmed, IdentityDrift.
        """
        check_permit(permit, host=self._transport.host_name, unit=name, verb=Verb.RELOAD)
        try:
            check_identity(permit, (await self.program(name)).identity)
            await self._client.control("supervisor.signalProcess", name, signal)
        finally:
            self._client.release()

    async def can_signal(self) -> bool:
        """Whether supervisord can signal a program (3.2.0 or later) and can be spoken to."""
        try:
            return can_signal(parse_version(await self.version()))
        except ServiceError:
            return False
        finally:
            self._client.release()

    async def close(self) -> None:
        self._client.close()

    def _check_name(self, name: str) -> None:
        # "group:*" and "group:" name a whole group to supervisord, and would act on all of it.
        if not name or name.endswith(":") or "*" in name:
            raise self._unknown(name)

    def _unknown(self, name: str) -> UnitUnknown:
        return UnitUnknown(
            f"supervisord knows no program {clean_line(name)!r}", host=self._transport.host_name
        )
