"""A D-Bus client over a Stream of a transport: jeepney's messages, our own connection.

jeepney authenticates with the console's uid, which means nothing on the host; EXTERNAL without
a uid lets the bus take the credentials of the socket itself (services.md section 2). Messages are
bounded, and a signal queue that nobody reads drops and says so.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

# jeepney ships no py.typed
from jeepney import (  # type: ignore[import-untyped]
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    Parser,
    new_method_call,
)

from edxconsole.cluster.text import clean_line
from edxconsole.errors import (
    PermissionMissing,
    ServiceFault,
    ServiceUnavailable,
    TransportError,
    UnitUnknown,
)
from edxconsole.transport.base import Stream, Transport, UnixEndpoint

SYSTEM_BUS = UnixEndpoint("/run/dbus/system_bus_socket")
Address: TypeAlias = DBusAddress
BUS = Address("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
MAX_MESSAGE = 8 * 1024 * 1024
MAX_SIGNALS = 4096
TIMEOUT = 5.0
_REFUSED = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    }
)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal: where from, its name, and its arguments as jeepney decodes them."""

    path: str
    member: str
    body: tuple[object, ...]


class DBus:
    """One connection to a message bus. Use as an async context manager."""

    def __init__(self, stream: Stream, host: str) -> None:
        self.rung = stream.rung
        self.signals: asyncio.Queue[Signal | None] = asyncio.Queue(MAX_SIGNALS)
        self.signals_lost = False
        """a signal was dropped: what was learned from signals must be read anew"""
        self._stream = stream
        self._host = host
        self._parser = Parser()
        self._serials = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._ended: ServiceUnavailable | None = None
        self._receiver: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._ended is None

    @classmethod
    async def connect(cls, transport: Transport, endpoint: UnixEndpoint = SYSTEM_BUS) -> DBus:
        """Connect, authenticate and say Hello. Raises ServiceUnavailable, StreamRefused."""
        bus = cls(await transport.open_stream(endpoint), transport.host_name)
        try:
            async with asyncio.timeout(TIMEOUT):
                await bus._authenticate()
                bus._receiver = asyncio.create_task(bus._receive())
                await bus.call(BUS, "Hello")
        except TimeoutError as error:
            await bus.close()
            raise ServiceUnavailable("D-Bus does not answer", host=transport.host_name) from error
        except BaseException:
            await bus.close()
            raise
        return bus

    async def __aenter__(self) -> DBus:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def call(
        self, to: Address, member: str, signature: str = "", *arguments: object
    ) -> tuple[object, ...]:
        """Call a method and return its results.

        Raises ServiceUnavailable (connection ended, 5 s over), PermissionMissing, UnitUnknown,
        ServiceFault.
        """
        reply = await self._exchange(new_method_call(to, member, signature or None, arguments))
        if reply.header.message_type is MessageType.error:
            raise self._error(reply)
        return tuple(reply.body)

    async def match(self, rule: str) -> None:
        """Ask the bus for signals, by a match rule as in the D-Bus specification."""
        await self.call(BUS, "AddMatch", "s", rule)

    async def next_signal(self) -> Signal:
        """The next signal. Raises ServiceUnavailable when the connection ended."""
        signal = await self.signals.get()
        if signal is None:
            self._enqueue(None)
            raise self._ended or ServiceUnavailable("the D-Bus connection ended", host=self._host)
        return signal

    def waiting_signals(self) -> list[Signal]:
        """Signals that have come already, without waiting."""
        found = []
        while not self.signals.empty():
            signal = self.signals.get_nowait()
            if signal is None:
                self.signals.put_nowait(None)
                break
            found.append(signal)
        return found

    async def close(self) -> None:
        if self._receiver is not None:
            self._receiver.cancel()
            await asyncio.wait({self._receiver})
        self._stream.writer.close()

    async def _authenticate(self) -> None:
        writer, reader = self._stream.writer, self._stream.reader
        writer.write(b"\0AUTH EXTERNAL\r\nDATA\r\n")
        await writer.drain()
        answer = b""
        while b"OK " not in answer or not answer.endswith(b"\r\n"):
            data = await reader.read(1024)
            answer += data
            if not data or b"REJECTED" in answer or len(answer) > 4096:
                raise ServiceUnavailable("D-Bus did not accept the login", host=self._host)
        writer.write(b"BEGIN\r\n")
        await writer.drain()

    async def _exchange(self, message: Message) -> Message:
        if self._ended is not None:
            raise self._ended
        serial = next(self._serials)
        reply: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._replies[serial] = reply
        try:
            self._stream.writer.write(message.serialise(serial))
            async with asyncio.timeout(TIMEOUT):
                await self._stream.writer.drain()
                return await reply
        except TimeoutError as error:
            raise ServiceUnavailable(f"D-Bus gave no answer in {TIMEOUT:g} s", host=self._host) from error
        except (TransportError, OSError) as error:
            raise ServiceUnavailable("the D-Bus connection ended", host=self._host) from error
        finally:
            del self._replies[serial]

    async def _receive(self) -> None:
        cause = "the D-Bus connection ended"
        try:
            while data := await self._stream.reader.read(65536):
                self._parser.add_data(data)
                while (message := self._parser.get_next_message()) is not None:
                    self._dispatch(message)
                if self._parser.bytes_desired() > MAX_MESSAGE:
                    cause = "a D-Bus message that is too long"
                    break
        except (TransportError, OSError):
            pass  # the same as an end, and told as one below
        except Exception:  # noqa: BLE001  jeepney raises whatever a malformed message leads to
            cause = "a D-Bus message that is malformed"
        finally:
            self._end(cause)

    def _end(self, cause: str) -> None:
        self._ended = ServiceUnavailable(cause, host=self._host)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(self._ended)

        self._enqueue(None)

    def _enqueue(self, signal: Signal | None) -> None:
        if self.signals.full():
            self.signals.get_nowait()
            self.signals_lost = True
        self.signals.put_nowait(signal)

    def _dispatch(self, message: Message) -> None:
        fields = message.header.fields
        if message.header.message_type is MessageType.signal:
            signal = Signal(
                str(fields.get(HeaderFields.path, "")),
                str(fields.get(HeaderFields.member, "")),
                tuple(message.body),
            )
            self._enqueue(signal)
            return
        reply = self._replies.get(fields.get(HeaderFields.reply_serial, 0))
        if reply is not None and not reply.done():
            reply.set_result(message)

    def _error(self, reply: Message) -> PermissionMissing | UnitUnknown | ServiceFault:
        name = str(reply.header.fields.get(HeaderFields.error_name, ""))
        text = clean_line(str(reply.body[0])) if reply.body else clean_line(name)
        if name in _REFUSED:
            return PermissionMissing(text, host=self._host)
        if name in ("org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed"):
            return UnitUnknown(text, host=self._host)
        return ServiceFault(text, host=self._host)
