"""What asyncssh and paramiko have in common as transports.

sshd leaves Nagle on until the first session starts (+40 ms for each forwarded reply of several
packets), so `true` runs before the first forward when the probe has not started yet. Forwarded
channels do not count against MaxSessions, sessions do: two at most are open at once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from edxconsole.errors import ConnectionLost, EdxconsoleError
from edxconsole.inventory.model import Host
from edxconsole.transport.base import ConnectionInfo, Endpoint, Process, Result, Stream
from edxconsole.transport.command import RunningProcess, check_start, collect, command_line, kill_signal
from edxconsole.transport.knock import returned, rhythm
from edxconsole.transport.ladder import Ladder
from edxconsole.transport.login import knock
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.sessions import SessionBudget
from edxconsole.transport.ssh_resolve import Target, resolve

JUMP_TELLS = 0.3
"""seconds in which the end of a jump connection shows after that of one through it"""


class SshLink(Protocol):
    """An open connection of either library."""

    @property
    def alive(self) -> bool: ...
    @property
    def lost(self) -> asyncio.Future[str]: ...
    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def jump(self) -> SshLink | None: ...
    @property
    def target(self) -> Target: ...
    async def close(self) -> None: ...


K = TypeVar("K", bound=SshLink)


class SshTransport(ABC, Generic[K]):
    """A host over SSH; a subclass opens the connection, its sessions and its forwards."""

    kind: ClassVar[str]

    def __init__(self, host: Host, pool: ConnectionPool) -> None:
        self._host = host
        self._pool = pool
        self._link: K | None = None
        self._user = host.user or ""
        self._sessions = SessionBudget(host.name, pool.limits.sessions, pool.limits.session_wait)
        self._had_session = False
        self._ladder: Ladder | None = None
        self._closed = False

    @abstractmethod
    async def _open(self, target: Target) -> K:
        """Connect and log in."""

    @abstractmethod
    async def _session(self, line: str, *, keep_stderr: bool, kill_signal: str) -> RunningProcess:
        """Start a command; it gives its place in `self._sessions` back. Raises SessionRefused."""

    @abstractmethod
    async def _direct(self, endpoint: Endpoint) -> Stream:
        """Open a forwarded stream. Raises DirectRefused, StreamRefused."""

    @abstractmethod
    async def _through(self, jump: K, target: Target) -> bool:
        """Whether a jump host can open a connection to a target. Never raises what hosts cause."""

    @property
    def host_name(self) -> str:
        return self._host.name

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.alive

    @property
    def info(self) -> ConnectionInfo:
        return ConnectionInfo(self.kind) if self._link is None else self._link.info

    async def connect(self) -> None:
        if self._link is not None:
            raise RuntimeError("a transport connects once; make a new one")
        async with self._pool.resolving():
            target = await resolve(self._host, self._pool.ssh_config.ask)
        self._user = target.user
        self._link = await self._open(target)
        if self._closed:
            await self._link.close()
            raise ConnectionLost("it was closed while connecting", host=self._host.name)
        self._ladder = Ladder(
            self._host.name,
            target.user,
            may_sudo=self._host.become == "sudo",
            direct=self._direct,
            start=self.process,
        )

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        process = await self._start(argv, become, keep_stderr=True)
        result = await collect(
            self.host_name,
            argv,
            process,
            stdin=stdin,
            timeout=timeout,
            max_output=max_output,
            become=become,
            kill=self._plain,
            told_begin=True,
        )
        if result.exit_status is None and result.signal is None:
            raise ConnectionLost(await self._lost_now(), host=self.host_name)
        await check_start(self.host_name, self._user, result, become, self._plain)
        return result

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        return await self._start(argv, become, keep_stderr=False)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        self._open_link()
        assert self._ladder is not None
        if not self._had_session:
            await self.run(("true",), timeout=timeout)
        return await self._ladder.open(endpoint, timeout)

    async def wait_lost(self) -> str:
        if self._link is None:
            return "it was never connected"
        return await _blamed(self._link, await asyncio.shield(self._link.lost))

    async def returned(self) -> None:
        """See knock.Knocking."""
        try:
            async with self._pool.resolving():
                target = await resolve(self._host, self._pool.ssh_config.ask)
        except EdxconsoleError:
            await asyncio.Event().wait()

        async def one() -> bool:
            try:
                return await knock(self._pool, self.kind, target, self._through)
            except EdxconsoleError:
                return False

        await returned(one, rhythm(target))

    async def close(self) -> None:
        self._closed = True
        if self._link is not None:
            await self._link.close()

    def _open_link(self) -> K:
        if self._link is None or not self._link.alive:
            raise ConnectionLost("there is no open connection", host=self._host.name)
        return self._link

    async def _lost_now(self) -> str:
        """The reason, when a channel ended without a status."""
        if self._link is None:
            return "it was never connected"
        try:
            async with asyncio.timeout(0.5):
                return await _blamed(self._link, await asyncio.shield(self._link.lost))
        except TimeoutError:
            return "its sshd closed the channel without an exit status"

    async def _plain(self, argv: Sequence[str]) -> Result:
        """A small command of our own, without the checks of `run`."""
        process = await self._start(argv, None, keep_stderr=True)
        return await collect(
            self.host_name, argv, process, stdin=b"", timeout=10, max_output=1 << 16, told_begin=True
        )

    async def _start(self, argv: Sequence[str], become: str | None, *, keep_stderr: bool) -> RunningProcess:
        line = command_line(argv, become, tell_begin=keep_stderr)
        process = await self._sessions.open(
            lambda: self._session(line, keep_stderr=keep_stderr, kill_signal=kill_signal(become))
        )
        self._had_session = True
        return process


async def _blamed(link: SshLink, reason: str) -> str:
    """Why a connection ended: the loss of a jump host is named as such."""
    jump = link.jump
    if jump is None:
        return reason
    try:
        async with asyncio.timeout(JUMP_TELLS):
            said = await asyncio.shield(jump.lost)
    except TimeoutError:
        return reason
    return f"jump host {jump.target.name}: {await _blamed(jump, said)}"
