"""A local address for a client library that insists on opening its own sockets.

A UNIX socket in a directory that only this user may enter; every connection made to it is carried on a
stream of the transport to one service on the host. It takes no port that others could connect to, and
with the inspection it ends: the socket, its directory, and every connection a library may still hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from edxconsole.errors import ConnectionLost, ServiceUnavailable, TransportError
from edxconsole.transport.base import Endpoint, Stream, Transport

OPEN_TIMEOUT = 5.0
CHUNK = 64 * 1024
LIMIT = 8 << 20
"""bytes that a service may say through one bridge"""
WAITING = 16
"""connections that may wait to be accepted"""

T = TypeVar("T")


class Bridge:
    """One service on a host under a path of this machine. See bridge()."""

    def __init__(self, transport: Transport, endpoint: Endpoint, directory: Path, limit: int) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._directory = directory
        self._left = limit
        self._carrying: set[asyncio.Task[None]] = set()
        self._refusal: TransportError | None = None
        self._full = False
        self._over = False

    @property
    def path(self) -> str:
        """What a library connects to."""
        return str(self._directory / "s.sock")

    async def work(self, talk: Callable[[], T], *, timeout: float) -> T:
        """What `talk` learns, blocking in a thread, from the service at `path`.

        Whatever a library makes of a broken connection, here it is said what broke it. Raises
        StreamRefused, ServiceUnavailable, ConnectionLost, and what `talk` raises where nothing broke.
        Done once: after it nothing is connected any more.
        """
        told = _in_thread(talk)
        try:
            done, _ = await asyncio.wait((told,), timeout=timeout)
            if not done:
                raise ServiceUnavailable(f"{self._endpoint} gave no answer within {timeout:g} s")
            try:
                return told.result()
            except Exception:
                self._raise_what_broke()
                raise
        finally:
            # Its thread can't be stopped; without its connections it has nothing to wait for.
            self.cut()
            told.cancel()

    async def accept(self, listening: socket.socket) -> None:
        """Carry whatever is connected, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            if self._over:
                connection.close()
                continue
            task = asyncio.create_task(self._serve(connection))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)
            # A task that is cancelled before it began closes nothing by itself.
            task.add_done_callback(functools.partial(_close, connection))

    async def _serve(self, connection: socket.socket) -> None:
        """Carry one connection of a library until either side ends it."""
        with connection:
            try:
                stream = await self._transport.open_stream(self._endpoint, timeout=OPEN_TIMEOUT)
                await self._carry(connection, stream)
            except TransportError as error:
                self._refusal = self._refusal or error
            except OSError:
                # The library closed its end while something was being said to it.
                pass

    async def _carry(self, connection: socket.socket, stream: Stream) -> None:
        """Both ways at once; the end of one is the end of the other."""
        loop = asyncio.get_running_loop()

        async def up() -> None:
            while data := await loop.sock_recv(connection, CHUNK):
                stream.writer.write(data)
                await stream.writer.drain()

        async def down() -> None:
            while data := await stream.reader.read(CHUNK):
                self._left -= len(data)
                if self._left < 0:
                    self._full = True
                    return
                await loop.sock_sendall(connection, data)

        ways = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            stream.writer.close()

    def _raise_what_broke(self) -> None:
        if self._full:
            raise ServiceUnavailable(f"{self._endpoint} answers without an end")
        if self._refusal is None:
            return
        if isinstance(self._refusal, ConnectionLost) and self._transport.connected:
            raise ServiceUnavailable(f"{self._endpoint} broke off")
        raise self._refusal

    def cut(self) -> None:
        """End every connection, and take no more."""
        self._over = True
        for task in tuple(self._carrying):
            task.cancel()

    async def ended(self) -> None:
        """Until the last connection has ended."""
        await asyncio.gather(*self._carrying, return_exceptions=True)


@contextlib.asynccontextmanager
async def bridge(transport: Transport, endpoint: Endpoint, *, limit: int = LIMIT) -> AsyncIterator[Bridge]:
    """A Bridge to `endpoint` for as long as the block lasts. Nothing is connected before a library does."""
    directory, listening = await asyncio.to_thread(_listen)
    made = Bridge(transport, endpoint, directory, limit)
    accepting = asyncio.create_task(made.accept(listening))
    try:
        yield made
    finally:
        accepting.cancel()
        made.cut()
        await asyncio.gather(accepting, made.ended(), return_exceptions=True)
        listening.close()
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _listen() -> tuple[Path, socket.socket]:
    """A listening socket in a new directory of mode 0700."""
    directory = Path(tempfile.mkdtemp(prefix="edx-"))
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(directory / "s.sock"))
        made.listen(WAITING)
        made.setblocking(False)
    except OSError:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory, made


def _close(connection: socket.socket, _: asyncio.Task[None]) -> None:
    connection.close()


def _in_thread(talk: Callable[[], T]) -> asyncio.Future[T]:
    """What `talk` comes to, in a thread of its own: one of the loop's few would be missing where it hangs,
    and the end of the console would wait for it."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[T] = loop.create_future()

    def deliver(set_it: Callable[[], None]) -> None:
        # Nobody may wait for it any more, or the loop may be gone.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if told.done() else set_it())

    def run() -> None:
        try:
            result = talk()
        except Exception as caught:  # noqa: BLE001 - raised again, by who waits for it
            error = caught
            deliver(lambda: told.set_exception(error))
        else:
            deliver(lambda: told.set_result(result))

    threading.Thread(target=run, name="bridge", daemon=True).start()
    return told
