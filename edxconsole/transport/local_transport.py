"""The machine the console runs on: subprocesses and local sockets, no SSH.

Learned: a command gets a session of its own, so that Ctrl-C in the terminal does not reach it and
that killing its process group ends its children too; a stderr nobody reads must be drained.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Iterable, Sequence

from edxconsole.errors import CommandFailed, ConnectionLost, StreamRefused
from edxconsole.inventory.model import Host
from edxconsole.settings import local_user
from edxconsole.transport.base import (
    ConnectionInfo,
    Endpoint,
    Process,
    Result,
    Stream,
    TcpEndpoint,
)
from edxconsole.transport.command import become_argv, check_start, collect, kill_signal
from edxconsole.transport.ending import begin, finish
from edxconsole.transport.ladder import DirectRefused, Ladder, port_refused
from edxconsole.transport.streams import ByteQueue, Gate

STDERR_KEPT = 64 * 1024


class LocalProcess(asyncio.SubprocessProtocol):
    """A subprocess as base.Process."""

    def __init__(self, *, keep_stderr: bool, kill_signal: str) -> None:
        self._kill_signal = signal.Signals[f"SIG{kill_signal}"]
        self.stdout = ByteQueue(pause=lambda: self._pipe(1).pause_reading(), resume=lambda: self._resume(1))
        self.stderr = (
            ByteQueue(pause=lambda: self._pipe(2).pause_reading(), resume=lambda: self._resume(2))
            if keep_stderr
            else ByteQueue(STDERR_KEPT)
        )
        self.stdin = ProcessWriter(self)
        self.gate = Gate()
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.SubprocessTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self.transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.stdout if fd == 1 else self.stderr).feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self.gate.fail(ConnectionLost("the command closed its input"))
        else:
            (self.stdout if fd == 1 else self.stderr).feed_eof()

    def pause_writing(self) -> None:
        self.gate.shut()

    def resume_writing(self) -> None:
        self.gate.open()

    def process_exited(self) -> None:
        """Called when it is reaped, though others may still hold its outputs."""
        code = self.transport.get_returncode()
        if not self.exited.done():
            self.exited.set_result(0 if code is None else code)

    def _pipe(self, fd: int) -> asyncio.ReadTransport:
        pipe = self.transport.get_pipe_transport(fd)
        assert isinstance(pipe, asyncio.ReadTransport)
        return pipe

    def _resume(self, fd: int) -> None:
        pipe = self._pipe(fd)
        if not pipe.is_closing():
            pipe.resume_reading()

    @property
    def pid(self) -> int | None:
        return self.transport.get_pid()

    @property
    def signal(self) -> str | None:
        code = self.exited.result() if self.exited.done() else 0
        return signal.Signals(-code).name.removeprefix("SIG") if code < 0 else None

    async def wait(self) -> int | None:
        code = await asyncio.shield(self.exited)
        return code if code >= 0 else None

    def kill(self) -> None:
        """A signal to the process group; what sudo started may not be ours to kill."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.transport.get_pid(), self._kill_signal)

    async def close(self) -> None:
        await finish(self._end())

    async def _end(self) -> None:
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.shield(self.exited)
        self.stdout.feed_eof()
        self.stderr.feed_eof()
        with contextlib.suppress(PermissionError):
            self.transport.close()


class ProcessWriter:
    """A subprocess's stdin."""

    def __init__(self, process: LocalProcess) -> None:
        self._process = process

    def _pipe(self) -> asyncio.WriteTransport:
        pipe = self._process.transport.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        return pipe

    def write(self, data: bytes) -> None:
        """Raises ConnectionLost once the stream is closed."""
        if self._pipe().is_closing():
            raise ConnectionLost("the stream is closed")
        self._pipe().write(data)

    async def drain(self) -> None:
        await self._process.gate.wait()

    def write_eof(self) -> None:
        if not self._pipe().is_closing():
            self._pipe().write_eof()

    def close(self) -> None:
        self._pipe().close()

    async def wait_closed(self) -> None:
        return


async def _close_all(processes: Iterable[LocalProcess]) -> None:
    await asyncio.gather(*(process.close() for process in processes))


class LocalWriter:
    """asyncio's writer with errors of ours."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def write(self, data: bytes) -> None:
        """Raises ConnectionLost once the stream is closed."""
        if self._writer.is_closing():
            raise ConnectionLost("the stream is closed")
        self._writer.write(data)

    async def drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost(f"the stream broke ({error})") from None

    def write_eof(self) -> None:
        if not self._writer.is_closing():
            self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()

    async def wait_closed(self) -> None:
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class LocalReader:
    """asyncio's reader with errors of ours."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self, n: int = -1) -> bytes:
        try:
            return await self._reader.read(n)
        except OSError as error:
            raise ConnectionLost(f"the stream broke ({error})") from None


async def _started(full: Sequence[str], become: str | None, *, keep_stderr: bool) -> LocalProcess:
    _, process = await asyncio.get_running_loop().subprocess_exec(
        lambda: LocalProcess(keep_stderr=keep_stderr, kill_signal=kill_signal(become)),
        *full,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    return process


class LocalTransport:
    """This machine. See base.Transport for the contract."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lost: asyncio.Future[str] | None = None
        self._running: set[LocalProcess] = set()
        self._ladder = Ladder(
            host.name,
            local_user(),
            may_sudo=host.become == "sudo",
            direct=self._direct,
            start=self.process,
        )

    @property
    def host_name(self) -> str:
        return self._host.name

    @property
    def connected(self) -> bool:
        return self._lost is not None and not self._lost.done()

    @property
    def info(self) -> ConnectionInfo:
        system = os.uname()
        return ConnectionInfo(
            "local", address="localhost", user=local_user(), server=f"{system.sysname} {system.release}"
        )

    async def connect(self) -> None:
        self._lost = asyncio.get_running_loop().create_future()

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
        try:
            result = await collect(
                self.host_name,
                argv,
                process,
                stdin=stdin,
                timeout=timeout,
                max_output=max_output,
                become=become,
                kill=self._plain,
            )
        finally:
            self._running.discard(process)
        await check_start(self.host_name, self.info.user, result, become, self._plain)
        return result

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        return await self._start(argv, become, keep_stderr=False)

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        self._check_open()
        return await self._ladder.open(endpoint, timeout)

    async def wait_lost(self) -> str:
        if self._lost is None:
            return "it was never connected"
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result("the connection was closed")
        running, self._running = self._running, set()
        await finish(_close_all(running))

    def _check_open(self) -> None:
        if not self.connected:
            raise ConnectionLost("there is no open connection", host=self._host.name)

    async def _plain(self, argv: Sequence[str]) -> Result:
        process = await self._start(argv, None, keep_stderr=True)
        return await collect(self.host_name, argv, process, stdin=b"", timeout=10, max_output=1 << 16)

    async def _start(self, argv: Sequence[str], become: str | None, *, keep_stderr: bool) -> LocalProcess:
        self._check_open()
        full = become_argv(argv, become)
        try:
            process = await begin(_started(full, become, keep_stderr=keep_stderr), LocalProcess.close)
        except OSError as error:
            raise CommandFailed(
                f"{full[0]} can't be started: {error.strerror}",
                host=self.host_name,
                remedy="install it or correct its path",
            ) from None
        self._running = {p for p in self._running if not p.exited.done()} | {process}
        return process

    async def _direct(self, endpoint: Endpoint) -> Stream:
        try:
            if isinstance(endpoint, TcpEndpoint):
                reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            else:
                reader, writer = await asyncio.open_unix_connection(endpoint.path)
        except ConnectionRefusedError:
            raise port_refused(endpoint, self.host_name) from None
        except OSError as error:
            if error.errno == errno.EACCES:
                raise DirectRefused(os.strerror(error.errno)) from None
            raise StreamRefused(
                f"{endpoint} can't be opened: {os.strerror(error.errno) if error.errno else error}",
                host=self.host_name,
                remedy="see whether what should listen there runs",
            ) from None
        return Stream(LocalReader(reader), LocalWriter(writer), "local")
