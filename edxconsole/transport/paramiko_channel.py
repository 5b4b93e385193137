"""One paramiko channel as byte streams, carried by threads.

Learned: a channel's calls block (also `close`, while keys are exchanged again or the host is
frozen), so each runs in a thread: one per direction for as long as the channel lives. paramiko
throws away the name of an exit signal and the server's words for a refused channel; the first is
taken from the request itself (`paramiko_link.Transport`).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable

import paramiko

from edxconsole.errors import ConnectionLost
from edxconsole.transport.command import PidLine
from edxconsole.transport.streams import ByteQueue, Gate

CHUNK = 64 * 1024
STDERR_KEPT = 64 * 1024
UNSENT = 256 * 1024


class Channel:
    """Both directions of a channel in an event loop.

    Args:
        chan: an open paramiko channel.
        command: it is a session with stderr and an exit status.
        keep_stderr: push back instead of dropping.
    """

    def __init__(self, host: str, chan: paramiko.Channel, *, command: bool, keep_stderr: bool) -> None:
        self.host = host
        self.chan = chan
        self.status: int | None = None
        self.signal: str | None = None
        self.pid_line = PidLine()
        self.order = threading.Lock()
        """held while a request or a close is sent: after a close a request ends the connection"""
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.stdout, out_flows = self._queue(keep=True)
        self.stderr, err_flows = self._queue(keep=keep_stderr)
        self.writer = Writer(self, whole=not command)
        self._flows = (out_flows, err_flows)
        self._reading = 2 if command else 1
        self._spawn(self._read, chan.recv, self.stdout, out_flows)
        if command:
            self._spawn(self._read, chan.recv_stderr, self.stderr, err_flows)

    def exit_status(self, status: int | None, signal: str | None) -> None:
        """From the connection's own thread: how the command ended."""
        self.post(self._exit, status, signal)

    def post(self, call: Callable[..., object], *args: object) -> None:
        """Call in the event loop, from any thread; nothing when the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *args)

    def kill(self, signal: str) -> None:
        """A signal to the command's process group, where sshd does that (see command.py)."""
        if not self.exited.done():
            self._spawn(self._send_signal, signal)

    async def close(self, signal: str = "") -> None:
        """`signal` is sent first, in the same thread."""
        if not self.closed.done():
            self._spawn(self._close, "" if self.exited.done() else signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await asyncio.shield(self.closed)
        self._end(None)

    def _queue(self, *, keep: bool) -> tuple[ByteQueue, threading.Event]:
        flows = threading.Event()
        flows.set()
        return (ByteQueue(pause=flows.clear, resume=flows.set) if keep else ByteQueue(STDERR_KEPT)), flows

    def _spawn(self, work: Callable[..., None], *args: object) -> None:
        threading.Thread(target=work, args=args, daemon=True, name=f"ssh-{self.host}").start()

    def _read(self, receive: Callable[[int], bytes], into: ByteQueue, flows: threading.Event) -> None:
        while True:
            flows.wait()
            try:
                data = receive(CHUNK)
            except OSError:
                data = b""
            if not data:
                break
            self.post(self._feed, into, data)
        self.post(self._read_end, into)

    def _feed(self, into: ByteQueue, data: bytes) -> None:
        into.feed(self.pid_line.strip(data) if into is self.stderr else data)

    def _read_end(self, into: ByteQueue) -> None:
        """EOF, which is also how a lost connection looks to paramiko."""
        if into is self.stderr:
            into.feed(self.pid_line.rest())
        into.feed_eof(self._lost())
        self._reading -= 1
        if not self._reading and (self.chan.closed or self._lost()):
            self._end(self._lost())

    def _lost(self) -> ConnectionLost | None:
        transport = self.chan.get_transport()
        return None if transport.is_active() else ConnectionLost("the connection ended", host=self.host)

    def _exit(self, status: int | None, signal: str | None) -> None:
        self.status, self.signal = status, signal
        if not self.exited.done():
            self.exited.set_result(None)

    def _send_signal(self, signal: str) -> None:
        message = paramiko.Message()
        message.add_byte(b"\x62")  # SSH_MSG_CHANNEL_REQUEST
        message.add_int(self.chan.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string(signal)
        with self.order, contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            if not self.chan.closed:
                self.chan.get_transport()._send_user_message(message)  # type: ignore[attr-defined]

    def _close(self, signal: str) -> None:
        if signal:
            self._send_signal(signal)
        with self.order, contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self.chan.close()
        self.post(self._end, None)

    def _end(self, error: ConnectionLost | None) -> None:
        """The channel is closed: let every thread and waiter go."""
        self.stdout.feed_eof(error)
        self.stderr.feed_eof(error)
        for flows in self._flows:
            flows.set()
        self.writer.end(error or ConnectionLost("the stream is closed", host=self.host))
        for future in (self.exited, self.closed):
            if not future.done():
                future.set_result(None)


class Writer:
    """Sends in order from one thread, started with the first write. `whole`: closing closes all."""

    def __init__(self, channel: Channel, *, whole: bool) -> None:
        self._channel = channel
        self._whole = whole
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._unsent = 0
        self._gate = Gate()
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._started = False
        self._eof = False
        self._ended = False
        self._closing: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        """Raises ConnectionLost once the channel is closed."""
        if self._ended or self._eof:
            raise ConnectionLost("the stream is closed", host=self._channel.host)
        self._unsent += len(data)
        self._all_sent.clear()
        if self._unsent > UNSENT:
            self._gate.shut()
        self._put(data)

    async def drain(self) -> None:
        await self._gate.wait()

    def write_eof(self) -> None:
        if not self._ended and not self._eof:
            self._eof = True
            self._put(None)

    def close(self) -> None:
        if not self._whole:
            self.write_eof()
        elif self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._finish())

    async def wait_closed(self) -> None:
        if self._closing is not None:
            await self._closing

    async def _finish(self) -> None:
        """As a socket: what was written is sent before the close."""
        if not self._ended and not self._eof:
            with contextlib.suppress(TimeoutError, ConnectionLost):
                async with asyncio.timeout(2):
                    await self._all_sent.wait()
        await self._channel.close()

    def end(self, error: ConnectionLost) -> None:
        if not self._ended:
            self._ended = True
            self._all_sent.set()
            self._gate.fail(error)
            self._queue.put(None)

    def _put(self, item: bytes | None) -> None:
        self._queue.put(item)
        if not self._started:
            self._started = True
            threading.Thread(target=self._send, daemon=True, name=f"ssh-{self._channel.host}").start()

    def _send(self) -> None:
        chan = self._channel.chan
        try:
            while (data := self._queue.get()) is not None:
                chan.sendall(data)
                self._channel.post(self._sent, len(data))
            chan.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException):
            self._channel.post(
                self._gate.fail, ConnectionLost("the stream is closed", host=self._channel.host)
            )

    def _sent(self, size: int) -> None:
        self._unsent -= size
        if not self._unsent:
            self._all_sent.set()
        if self._unsent <= UNSENT // 2:
            self._gate.open()


class ChannelProcess:
    """A command in a paramiko session channel. `release` gives the session's place back."""

    def __init__(self, channel: Channel, release: Callable[[], None], kill_signal: str = "KILL") -> None:
        self._channel = channel
        self._release: Callable[[], None] | None = release
        self._kill_signal = kill_signal
        self.stdin = channel.writer
        self.stdout = channel.stdout
        self.stderr = channel.stderr
        channel.closed.add_done_callback(lambda _: self._give_back())

    @property
    def pid(self) -> int | None:
        return self._channel.pid_line.pid

    @property
    def signal(self) -> str | None:
        return self._channel.signal

    async def wait(self) -> int | None:
        await asyncio.shield(self._channel.exited)
        return self._channel.status

    def kill(self) -> None:
        self._channel.kill(self._kill_signal)

    async def close(self) -> None:
        await self._channel.close(self._kill_signal)
        self._give_back()

    def _give_back(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None
