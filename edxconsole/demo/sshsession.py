"""What the demo's SSH server does for one host: accept, log in, run, forward, until the host ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import shutil
import signal
import socket
import struct
import termios
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.forward import SSHForwarder

from edxconsole.demo.door import Door

_CHUNK = 65536
_BACKLOG = 128
_PAUSE = 0.2
_FROZEN = ("T", "t")
_INTO_USER = ("nsenter", "--user=/proc/1/ns/user", "--preserve-credentials", "--")
"""entered last and by the session itself: a process with threads can't change its user namespace"""

Process = asyncssh.SSHServerProcess[bytes]


class _Forwarder(SSHForwarder):
    """asyncssh's, which leaves a connection open for ever when the service ended its side first."""

    def eof_received(self) -> bool:
        goes_on = super().eof_received()
        if not goes_on:
            asyncio.get_running_loop().call_soon(self.close)
        return goes_on


class _Server(asyncssh.SSHServer):
    """Lets an authenticated operator forward, as sshd does by default."""

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]]:
        return _forward(asyncio.get_running_loop().create_connection(_Forwarder, dest_host, dest_port))

    def unix_connection_requested(self, dest_path: str) -> Awaitable[asyncssh.SSHUNIXSession[bytes]]:
        return _forward(asyncio.get_running_loop().create_unix_connection(_Forwarder, dest_path))


async def _forward(connecting: Awaitable[tuple[asyncio.Transport, _Forwarder]]) -> Any:
    """A session of either kind: asyncssh takes its forwarder for both."""
    try:
        _, service = await connecting
    except OSError as error:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from None
    return _Forwarder(service)


async def serve(door: Door, gone: int | None, resolvers: ThreadPoolExecutor | None) -> None:
    """Answer at `door` until the host's PID 1 ends, which `gone` (a pidfd) tells.

    The caller's thread is in the host's namespaces already; `resolvers` are threads that are, too.
    """
    loop = asyncio.get_running_loop()
    if resolvers:
        loop.set_default_executor(resolvers)
    listener = _listen(door)
    accepting = asyncio.create_task(_accept(door, listener))
    print(f"{door.name}: listening on {door.address} port {door.port}", flush=True)
    ended = asyncio.Event()
    if gone is not None:
        loop.add_reader(gone, ended.set)
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait({accepting, waiting}, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    if gone is not None:
        loop.remove_reader(gone)
        os.close(gone)


def _listen(door: Door) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((door.address, door.port))
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


async def _accept(door: Door, listener: socket.socket) -> None:
    options = asyncssh.SSHServerConnectionOptions(
        server_factory=_Server,
        server_host_keys=[asyncssh.import_private_key(door.host_key)],
        authorized_client_keys=asyncssh.import_authorized_keys(door.authorized),
        process_factory=lambda process: _handle(door, process),
        encoding=None,
        sftp_factory=True,
    )
    async with asyncio.TaskGroup() as connections:
        while True:
            stream, _ = await asyncio.get_running_loop().sock_accept(listener)
            connections.create_task(_greet(door, stream, options))


async def _greet(door: Door, stream: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
    """Take one connection to its end. What goes wrong on it is the client's to know."""
    with contextlib.suppress(OSError, asyncssh.Error):
        await _thawed(door)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = await asyncssh.run_server(stream, options=options)
        await connection.wait_closed()


async def _thawed(door: Door) -> None:
    """A frozen host answers nothing; this server is outside of it and has to keep still by itself."""
    while door.pid:
        fields = Path("/proc/1/stat").read_text().rsplit(") ", 1)[1]  # noqa: ASYNC240  # no disk
        if not fields.startswith(_FROZEN):
            return
        await asyncio.sleep(_PAUSE)


async def _handle(door: Door, process: Process) -> None:
    await _thawed(door)
    shell = shutil.which("bash") or "/bin/sh"
    argv = [shell, "-c", process.command] if process.command else [shell, "-l"]
    if process.term_type:
        argv = ["setsid", "-c", *argv]
    argv = [*(_INTO_USER if door.own_user else ()), *argv]
    await (_terminal if process.term_type else _pipes)(process, argv, door)


async def _pipes(process: Process, argv: list[str], door: Door) -> None:
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=-1, stdout=-1, stderr=-1, env=door.env, cwd=door.cwd, start_new_session=True
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    feed = asyncio.create_task(_feed(process, child.stdin))
    pumps = asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
    closed = asyncio.create_task(process.channel.wait_closed())
    either: set[asyncio.Future[object]] = {pumps, closed}  # type: ignore[arg-type]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    feed.cancel()
    if closed.done():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGHUP)
        pumps.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pumps
    else:
        closed.cancel()
    _exit(process, await child.wait())


async def _feed(process: Process, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await process.stdin.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()


async def _terminal(process: Process, argv: list[str], door: Door) -> None:
    leader, follower = pty.openpty()
    width, height, _, _ = process.term_size
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    env = {**door.env, "TERM": process.term_type or "dumb"}
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=follower, stdout=follower, stderr=follower, env=env, cwd=door.cwd
    )
    os.close(follower)
    await process.redirect(stdin=os.dup(leader), stdout=leader, send_eof=False)
    _exit(process, await child.wait())


def _exit(process: Process, code: int) -> None:
    if code >= 0:
        process.exit(code)
    else:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
