"""Start, stop and restart of one supervisor program, made safe by our own polling.

supervisord's own waiting is not used: 3.0 waits for ever while a sibling prints, and edX's
celery workers may take five days to stop. startProcess during STOPPING answers True and does
nothing on every version, so a stopped state is always awaited first (services.md section 1.3).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edxconsole.cluster.text import last_lines
from edxconsole.errors import ActFailed, ServiceFault, ServiceUnavailable, UnitUnknown
from edxconsole.services.base import ActOutcome, Permit, Verb
from edxconsole.services.guard import check_identity
from edxconsole.services.http1 import ReplyLost
from edxconsole.services.supervisor_client import SupervisorClient
from edxconsole.services.supervisor_keeper import begin
from edxconsole.services.supervisor_program import Program
from edxconsole.transport.base import Transport

POLL = 0.2
DAEMON_GRACE = 15.0
"""seconds supervisord may be away (restarting) in the middle of an act"""
RESTARTED_WITHIN = 2.5
"""seconds in which supervisord, which looks once a second, starts again what has ended"""
SPAWN_ERROR, ALREADY_STARTED, NOT_RUNNING = 50, 60, 70
MAX_FAILED_STARTS = 2


@dataclass(slots=True)
class Act:
    """One act on one program. `observe` reads it fresh; `on_phase` hears each phase as it begins."""

    transport: Transport
    client: SupervisorClient
    observe: Callable[[], Awaitable[Program]]
    name: str
    permit: Permit
    deadline: float
    on_phase: Callable[[str], None]
    _end: float = 0.0

    async def run(self) -> ActOutcome:
        """See SupervisorManager.act."""
        self._end = time.monotonic() + self.deadline
        now = await self._settled()
        match self.permit.verb:
            case Verb.START if not now.stopped and now.statename != "STOPPING":
                now = await self._until_running(now)
                return self.permit.outcome(f"it was running already, {now.identity}", already=True)
            case Verb.STOP if now.stopped:
                return self.permit.outcome(f"it was {now.statename} already", already=True)
        check_identity(self.permit, now.identity)
        match self.permit.verb:
            case Verb.START:
                now = await self._start(now)
            case Verb.STOP:
                now = await self._stop(now)
            case _:
                now = await self._restart(now)
        return self.permit.outcome(
            f"{now.statename} {now.detail}".strip() if now.stopped else str(now.identity)
        )

    async def _settled(self) -> Program:
        """The program now; if it was confirmed while down and is STARTING, what that start came to.

        A crash loop is confirmed in BACKOFF and met in STARTING: the next BACKOFF is what was
        confirmed, RUNNING is not (identity drift).
        """
        now = await self.observe()
        if self.permit.any_run:
            return await self._at_rest(now)
        while now.statename == "STARTING" and self.permit.before.pid is None:
            await self._pause(now)
            now = await self._read()
        return now

    async def _at_rest(self, now: Program) -> Program:
        """The program, once it is not EXITED or stays so: supervisord starts it again within a second.

        A stop does nothing in between, so that it would run again after it was called stopped.
        """
        end = time.monotonic() + RESTARTED_WITHIN
        while self.permit.any_run and now.statename == "EXITED" and time.monotonic() < end:
            await self._pause(now)
            now = await self._read()
        return now

    async def _restart(self, now: Program) -> Program:
        """Stop and start, with a keeper on the host that starts it should we not get that far."""
        keeper = await begin(self.transport, self.client, now, self.deadline, permit=self.permit)
        if isinstance(keeper, str):
            self.on_phase(f"unguarded: {keeper}")
            return await self._start(await self._stop(now))
        try:
            now = await self._start(await self._stop(now))
        except (ActFailed, ServiceFault, UnitUnknown):
            await keeper.dismiss()
            raise
        except BaseException:
            await asyncio.shield(keeper.let_go())
            raise
        await keeper.dismiss()
        return now

    async def _stop(self, now: Program) -> Program:
        """Stop it unless it is stopped; return once it is, with what supervisord then says."""
        target = now.pid
        while not now.stopped:
            if target and now.pid and now.pid != target and not self.permit.any_run:
                raise await self._failed(
                    now, f"it was stopped, and started again by something else ({now.identity})"
                )
            if now.statename != "STOPPING":
                # Again when the answer was lost, and on 3.0, which ignores a stop during BACKOFF.
                self.on_phase("stopping")
                await self._send("supervisor.stopProcess", NOT_RUNNING)
                now = await self._at_rest(await self._read())
                if now.stopped:
                    break
            await self._pause(now)
            now = await self._at_rest(await self._read())
        if now.statename == "UNKNOWN":
            raise await self._failed(now, "supervisord has lost track of it")
        self.on_phase("stopped")
        return now

    async def _start(self, now: Program) -> Program:
        """Start it from a stopped state; return once it runs."""
        while now.statename == "STOPPING":
            await self._pause(now)
            now = await self._read()
        if not now.stopped:
            return await self._until_running(now)
        self.on_phase("starting")
        answered = await self._send("supervisor.startProcess", ALREADY_STARTED)
        after = await self._read()
        if not answered and after == now:
            await self._send("supervisor.startProcess", ALREADY_STARTED)
            after = await self._read()
        return await self._until_running(after)

    async def _until_running(self, now: Program) -> Program:
        failed_starts: set[int] = set()
        while now.statename != "RUNNING":
            if now.statename == "EXITED" and not now.spawnerr:
                return now
            if now.statename == "BACKOFF":
                failed_starts.add(now.start)
            if now.stopped or len(failed_starts) >= MAX_FAILED_STARTS:
                raise await self._failed(now, f"it does not start: {now.statename}")
            await self._pause(now)
            now = await self._read()
        return now

    async def _send(self, method: str, already: int) -> bool:
        """Make a changing call once. False when its answer was lost: the state then tells.

        While supervisord can't be spoken to at all, nothing was sent, and it is tried again.
        """
        away_since = time.monotonic()
        while True:
            try:
                await self.client.control(method, self.name, False)
                return True
            except ReplyLost:
                return False
            except ServiceUnavailable:
                if not self._may_wait_for_daemon(away_since):
                    raise
                await asyncio.sleep(POLL)
            except ServiceFault as fault:
                if fault.code == already or await self._tries_again(fault):
                    return True
                raise await self._failed(
                    await self._read(), f"{method} was refused: {fault.cause}"
                ) from fault

    async def _tries_again(self, fault: ServiceFault) -> bool:
        """Whether it only ended while supervisord was still answering, and is started once more."""
        return fault.code == SPAWN_ERROR and (await self._read()).statename in (
            "STARTING",
            "BACKOFF",
            "RUNNING",
        )

    async def _read(self) -> Program:
        """The program now, however long supervisord takes to restart within DAEMON_GRACE."""
        away_since = time.monotonic()
        while True:
            try:
                return await self.observe()
            except ServiceUnavailable:
                if not self._may_wait_for_daemon(away_since):
                    raise
                await asyncio.sleep(POLL)

    def _may_wait_for_daemon(self, away_since: float) -> bool:
        now = time.monotonic()
        return now < self._end and now - away_since < DAEMON_GRACE

    async def _pause(self, now: Program) -> None:
        if time.monotonic() > self._end:
            raise await self._failed(now, f"it is still {now.statename} after {self.deadline:g} s", late=True)
        await asyncio.sleep(POLL)

    async def _failed(self, now: Program, cause: str, *, late: bool = False) -> ActFailed:
        parts = [f"{self.permit.verb} {self.name}: {cause}"]
        remedy = None
        if now.detail:
            parts.append(f"supervisord says {now.detail}")
        if late and now.statename == "STOPPING":
            parts.append("it will be STOPPED once its stopwaitsecs are over")
            remedy = None if self.permit.verb is Verb.STOP else "start it when it has stopped"
        elif now.statename != "STOPPING":
            tail = last_lines(await self._log_tail())
            parts += [f"its log ends: {tail}"] if tail else []
        return ActFailed(", ".join(parts), host=self.transport.host_name, remedy=remedy)

    async def _log_tail(self) -> bytes:
        return await self.client.log_tail(self.name, "stderr") or await self.client.log_tail(
            self.name, "stdout"
        )
