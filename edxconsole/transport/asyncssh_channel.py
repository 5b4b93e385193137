"""One asyncssh channel as byte streams: a command, a TCP port or a UNIX socket.

Learned: asyncssh's own stream classes share one pause between stdout and stderr, so an unread
stderr of 2 MiB stalls stdout; `readline()` copies the rest of the buffer for each line (32 MB/s
instead of 240). So data arrives by callback into queues of our own, stderr keeps only its newest
bytes unless somebody collects it, and the window is small: it is what is in flight when a reader
stops reading.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncssh

from edxconsole.errors import ConnectionLost
from edxconsole.transport.asyncssh_auth import lost_reason
from edxconsole.transport.command import PidLine
from edxconsole.transport.streams import ByteQueue, Gate

WINDOW = 512 * 1024
STDERR_KEPT = 64 * 1024


class Channel(
    asyncssh.SSHClientSession[bytes], asyncssh.SSHTCPSession[bytes], asyncssh.SSHUNIXSession[bytes]
):
    """Callbacks of a channel of any kind. `keep_stderr`: push back instead of dropping."""

    def __init__(self, host: str, *, keep_stderr: bool = False) -> None:
        self.host = host
        self.stdout = ByteQueue(pause=self._pause, resume=self._resume)
        self.stderr = (
            ByteQueue(pause=self._pause, resume=self._resume) if keep_stderr else ByteQueue(STDERR_KEPT)
        )
        self.pid_line = PidLine()
        self.gate = Gate()
        self.status: int | None = None
        self.signal: str | None = None
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._channel: Any = None
        self._pauses = 0

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype:
            self.stderr.feed(self.pid_line.strip(data))
        else:
            self.stdout.feed(data)

    def eof_received(self) -> bool:
        self.stdout.feed_eof()
        self.stderr.feed(self.pid_line.rest())
        self.stderr.feed_eof()
        return True

    def exit_status_received(self, status: int) -> None:
        self.status = status
        _done(self.exited)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = signal
        _done(self.exited)

    def pause_writing(self) -> None:
        self.gate.shut()

    def resume_writing(self) -> None:
        self.gate.open()

    def connection_lost(self, exc: Exception | None) -> None:
        error = ConnectionLost(lost_reason(exc), host=self.host) if exc is not None else None
        self.stdout.feed_eof(error)
        self.stderr.feed_eof(error)
        self.gate.fail(error or ConnectionLost("the stream is closed", host=self.host))
        _done(self.exited)
        _done(self.closed)

    def _pause(self) -> None:
        self._pauses += 1
        self._channel.pause_reading()

    def _resume(self) -> None:
        self._pauses -= 1
        if not self._pauses:
            self._channel.resume_reading()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Writer:
    """The writing half of a channel; `whole` closes the channel with it (sockets)."""

    def __init__(self, channel: Any, session: Channel, *, whole: bool) -> None:
        self._channel = channel
        self._session = session
        self._whole = whole

    def write(self, data: bytes) -> None:
        """Raises ConnectionLost once the channel is closed."""
        if self._session.closed.done() or self._channel.is_closing():
            raise ConnectionLost("the stream is closed", host=self._session.host)
        self._channel.write(data)

    async def drain(self) -> None:
        await self._session.gate.wait()

    def write_eof(self) -> None:
        if not self._session.closed.done() and not self._channel.is_closing():
            self._channel.write_eof()

    def close(self) -> None:
        if self._whole:
            self._channel.close()
        else:
            self.write_eof()

    async def wait_closed(self) -> None:
        if self._whole:
            await _soon(self._session.closed, self._channel)


async def _soon(closed: asyncio.Future[None], channel: Any) -> None:
    """Wait for the close; a host that does not answer it is cut off."""
    try:
        async with asyncio.timeout(2):
            await asyncio.shield(closed)
    except (TimeoutError, asyncio.CancelledError) as error:
        channel.abort()
        if isinstance(error, asyncio.CancelledError):
            raise


class ChannelProcess:
    """A command in an asyncssh session channel. `release` gives the session's place back."""

    def __init__(
        self, channel: Any, session: Channel, release: Callable[[], None], kill_signal: str = "KILL"
    ) -> None:
        self._channel = channel
        self._session = session
        self._release: Callable[[], None] | None = release
        self._kill_signal = kill_signal
        self._closing = False
        self.stdin = Writer(channel, session, whole=False)
        self.stdout = session.stdout
        self.stderr = session.stderr
        session.closed.add_done_callback(lambda _: self._give_back())

    @property
    def pid(self) -> int | None:
        return self._session.pid_line.pid

    @property
    def signal(self) -> str | None:
        return self._session.signal

    async def wait(self) -> int | None:
        await asyncio.shield(self._session.exited)
        return self._session.status

    def kill(self) -> None:
        """A signal to the command's process group, where sshd does that (see command.py)."""
        if not self._session.exited.done() and not self._closing:
            with contextlib.suppress(OSError):
                self._channel.send_signal(self._kill_signal)

    async def close(self) -> None:
        if not self._session.closed.done():
            self.kill()
            self._closing = True
            self._channel.close()
            await _soon(self._session.closed, self._channel)
        self._give_back()

    def _give_back(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None
