"""What an inspector may do on a host: run a fixed command, read a file, ask a service. Everything bounded.

What a process calls itself is not believed where root's rights are used: any user can start a process
under any name. So programs to run come from fixed lists, and a file that only a process names is read
with the rights of that process's user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from edxconsole.catalog.model import Component
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import HostSnapshot, Instance, Process
from edxconsole.errors import (
    CommandFailed,
    ConnectionLost,
    NotUnderstood,
    PermissionMissing,
    ServiceUnavailable,
    StreamRefused,
)
from edxconsole.health.wire import Hangup, Wire
from edxconsole.inspect.reads import EXECUTABLE, READABLE, is_read
from edxconsole.transport.base import Endpoint, Result, Transport
from edxconsole.transport.command import sudoers_line

RUN_TIMEOUT = 10.0
READ_TIMEOUT = 6.0
ASK_TIMEOUT = 6.0
FILE_LIMIT = 256 * 1024
"""bytes of a configuration file; anything larger is none"""
OUTPUT_LIMIT = 2 << 20

ANSWERS, REFUSES, SILENT, NOT_ASKED = "answers", "refuses", "silent", "can't be asked"
"""what a try to connect comes to: accepted, refused, no answer or no such socket, or we lack the rights"""

_ABSENT, _ODD = 78, 79

T = TypeVar("T")


class Sight:
    """One component on one host, as an inspector sees it.

    Args:
        sudo: whether hosts.yaml allows `sudo -n` there (`become: sudo`).
    """

    def __init__(
        self,
        transport: Transport,
        host: HostSnapshot,
        component: Component,
        instance: Instance | None = None,
        *,
        sudo: bool = False,
    ) -> None:
        self.transport = transport
        self.host = host
        self.component = component
        self.instance = instance
        self._sudo = sudo

    @property
    def login(self) -> str:
        return self.transport.info.user or self.host.user

    @property
    def cores(self) -> int | None:
        return self.host.vitals.cores if self.host.vitals else None

    @property
    def contained(self) -> bool:
        """Whether containers run it: its processes and files are theirs then."""
        return self.instance is not None and contained(self.host, self.instance)

    def processes(self) -> list[Process]:
        """The processes of this component, in the order they were started."""
        pids = self.instance.pids if self.instance else ()
        found = [self.host.processes[pid] for pid in pids if pid in self.host.processes]
        return sorted(found, key=lambda p: (p.start, p.pid))

    async def run(
        self, argv: Sequence[str], *, user: str | None = None, timeout: float = RUN_TIMEOUT
    ) -> Result:
        """Run a command that changes nothing, as the login user or with the rights of `user`.

        Raises CommandTimedOut, CommandFailed, PermissionMissing, ConnectionLost, and NotUnderstood when
        its output does not end.
        """
        become = self._become(user, argv)
        result = await self._send(argv, timeout, become, OUTPUT_LIMIT)
        if len(result.stdout) > OUTPUT_LIMIT or result.signal == "KILL":
            raise NotUnderstood(f"{argv[0]} printed more than {OUTPUT_LIMIT >> 20} MiB")
        return result

    async def first_of(self, programs: Sequence[str]) -> str:
        """The first of these absolute paths that can be executed there. Raises ServiceUnavailable."""
        result = await self.run(["sh", "-c", EXECUTABLE, "sh", *programs], timeout=READ_TIMEOUT)
        found = result.text.strip()
        if not result.ok or found not in programs:
            raise ServiceUnavailable(f"{programs[0].rpartition('/')[2]} is not installed at a known place")
        return found

    async def read(self, path: str, *, user: str = "root", limit: int = FILE_LIMIT) -> str:
        """A configuration file, read as the login user, else with the rights of `user`.

        Raises ServiceUnavailable when there is none, PermissionMissing, NotUnderstood when it is larger
        than `limit` or binary.
        """
        data = await self._cut("head", path, limit + 1, user)
        if len(data) > limit:
            raise NotUnderstood(f"{path} is larger than {limit // 1024} KiB and was not read")
        if b"\0" in data:
            raise NotUnderstood(f"{path} is binary")
        return data.decode("utf-8", "replace")

    async def variables(self, process: Process, names: Collection[str]) -> dict[str, str]:
        """Those of these environment variables that a process was started with; the others are not kept.

        Raises ServiceUnavailable when it is gone, PermissionMissing.
        """
        data = await self._cut("head", f"/proc/{process.pid}/environ", FILE_LIMIT, process.user)
        said = (entry.partition("=") for entry in data.decode("utf-8", "replace").split("\0"))
        return {name: value for name, _, value in said if name in names}

    async def tail(self, path: str, count: int, *, user: str = "root") -> str:
        """The last `count` bytes of a log, whole lines. Raises as read()."""
        text = (await self._cut("tail", path, count, user)).decode("utf-8", "replace")
        return text if len(text) < count // 2 else text.partition("\n")[2]

    async def ask(
        self,
        endpoint: Endpoint,
        talk: Callable[[Wire], Awaitable[T]],
        *,
        timeout: float = ASK_TIMEOUT,
        limit: int = FILE_LIMIT,
    ) -> T:
        """What `talk` learns from a service. Raises ServiceUnavailable, StreamRefused, NotUnderstood."""
        wire: Wire | None = None
        try:
            async with asyncio.timeout(timeout):
                wire = Wire(await self.transport.open_stream(endpoint, timeout=timeout), limit)
                return await talk(wire)
        except TimeoutError as error:
            raise ServiceUnavailable(f"{endpoint} gave no answer within {timeout:g} s") from error
        except Hangup as error:
            cut = wire is not None and wire.full
            cause = "answers without an end" if cut else "hung up without an answer"
            raise ServiceUnavailable(f"{endpoint} {cause}") from error
        except ValueError as error:
            raise NotUnderstood(f"{endpoint} answers, but not as {self.component.title}") from error
        except ConnectionLost as error:
            if not self.transport.connected:
                raise
            raise ServiceUnavailable(f"{endpoint} broke off") from error
        finally:
            if wire is not None:
                wire.close()

    async def connects(self, endpoint: Endpoint, timeout: float) -> str:
        """What a connection from this host to there comes to: ANSWERS, REFUSES, SILENT or NOT_ASKED."""
        try:
            stream = await self.transport.open_stream(endpoint, timeout=timeout)
        except StreamRefused as error:
            # The ladder's remedies tell a service that is not there from rights that we lack.
            if "nothing listens there" in (error.remedy or ""):
                return REFUSES
            return SILENT if "what should listen there" in (error.remedy or "") else NOT_ASKED
        stream.writer.close()
        return ANSWERS

    async def _cut(self, tool: str, path: str, count: int, user: str) -> bytes:
        """`head -c` or `tail -c` of a regular file."""
        if not path.startswith("/"):
            raise NotUnderstood(f"{path} is no absolute path")
        mine = ["sh", "-c", READABLE, "sh", tool, str(count), path]
        result = await self._send(mine, READ_TIMEOUT, None, count + 1)
        if result.ok:
            return result.stdout
        if result.exit_status == _ABSENT:
            raise ServiceUnavailable(f"there is no {path}")
        if result.exit_status == _ODD:
            raise NotUnderstood(f"{path} is no ordinary file")
        theirs = [tool, "-c", str(count), "--", path]
        become = self._become(user, theirs, why=f"{self.login} may not read {path}")
        try:
            result = await self._send(theirs, READ_TIMEOUT, become, count + 1)
        except CommandFailed as error:
            raise PermissionMissing(f"{self.login} may not read {path}", remedy=error.remedy) from error
        if not result.ok:
            raise ServiceUnavailable(f"{path} can't be read, not even as {user}")
        return result.stdout

    async def _send(self, argv: Sequence[str], timeout: float, become: str | None, most: int) -> Result:
        """The only place where an inspector runs anything on a host: what only reads (reads.py)."""
        if not is_read(argv):
            raise ValueError(f"no inspector may run {argv[0]} so")
        return await self.transport.run(argv, timeout=timeout, become=become, max_output=most)

    def _become(self, user: str | None, argv: Sequence[str], *, why: str = "") -> str | None:
        if user is None or self.login in (user, "root"):
            return None
        if not self._sudo:
            remedy = "add `become: sudo` to this host in hosts.yaml, and to its sudoers: "
            if "/" not in argv[0]:
                argv = [f"/usr/bin/{argv[0]}", *argv[1:]]
            raise PermissionMissing(
                why or f"{argv[0]} needs the rights of {user}",
                remedy=remedy + sudoers_line(self.login or "LOGIN", user, argv),
            )
        return user
