"""Asks Celery's workers what they do, by kombu: the messages of `celery inspect`, without starting it.

`celery inspect` on the host would load all of edxapp for each question (seconds of a core and hundreds
of MiB, with the rights of www-data) and answers in a format of its version. kombu sends the same
broadcast from here, through a Bridge, in some hundredths of a second, to Celery 3.1 to 5.

Like every `celery inspect` it needs a queue for the replies: on RabbitMQ an exclusive one that goes with the
connection, on Redis one that is deleted at the end. Nothing else is written, and no queue of tasks is
consumed from.

kombu takes 0.3 s to import and blocks: all of this runs in a thread.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edxconsole.errors import NotUnderstood, PermissionMissing, ServiceFault, ServiceUnavailable
from edxconsole.inspect.celery_broker import AMQP, REDIS, BrokerPlace

GATHER = 1.5
"""seconds without a further reply after which nobody else is waited for"""
REPLY = 2.0
"""seconds for each of those who are known to be there"""
CONNECT = 4.0
COMMANDS = ("active", "reserved", "scheduled", "stats")


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages that wait and who takes them. None: the broker does not tell, or has no such queue."""

    waiting: int | None
    consumers: int | None


@dataclass(slots=True)
class Told:
    """What the workers of one broker replied, by command; for RabbitMQ also its queues."""

    replies: dict[str, list[object]] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)


def converse(place: BrokerPlace, path: str, queues: Sequence[str]) -> Told:
    """Ask the broker behind the UNIX socket `path`, and every worker that listens there. Blocks.

    Raises ServiceUnavailable, PermissionMissing, ServiceFault, NotUnderstood.
    """
    try:
        return _converse(place, path, queues)
    except (ServiceUnavailable, PermissionMissing, ServiceFault):
        raise
    # kombu, py-amqp and redis-py raise whatever a strange answer leads to.
    except Exception as error:  # noqa: BLE001
        raise _said(place, error) from None


def _converse(place: BrokerPlace, path: str, queues: Sequence[str]) -> Told:
    pidbox: Any = importlib.import_module("kombu.pidbox")
    told = Told()
    with contextlib.ExitStack() as used:
        connection = used.enter_context(_connection(place, path, used))
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECT)
        if place.kind == AMQP:
            told.queues = _queues(connection, queues)
        producers = _Once(connection)
        mailbox = pidbox.Mailbox(
            "celery", type="fanout", connection=connection, accept=["json"], producer_pool=producers
        )
        try:
            found = mailbox.multi_call("active_queues", timeout=GATHER)
            told.replies["active_queues"] = found
            nodes = [name for answer in found if isinstance(answer, dict) for name in answer]
            for command in COMMANDS if nodes else ():
                told.replies[command] = mailbox.call(nodes, command, timeout=REPLY)
        finally:
            mailbox.reply_queue(connection.default_channel).delete()
    return told


class _Once:
    """kombu's pool of producers, of one that publishes once: by itself it tries again for ever."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @contextlib.contextmanager
    def acquire(self) -> Iterator[Any]:
        producer: Any = importlib.import_module("kombu").Producer

        class Once(producer):  # type: ignore[misc]
            def publish(self, body: Any, **options: Any) -> Any:
                return super().publish(body, **{**options, "retry": False})

        yield Once(self._connection.default_channel, auto_declare=False)


def _connection(place: BrokerPlace, path: str, used: contextlib.ExitStack) -> Any:
    """kombu's connection, not yet made. `used` closes what it may leave open."""
    kombu: Any = importlib.import_module("kombu")
    if place.kind == REDIS:
        # Redis before 6 knows RESP2 only, and redis-py would begin with RESP3.
        url = f"redis+socket://{place.login}{path}?virtual_host={place.vhost}&protocol=2"
        options = {"socket_timeout": CONNECT, "max_connections": 4}
        return kombu.Connection(url, connect_timeout=CONNECT, transport_options=options)
    return kombu.Connection(
        "localhost",
        userid=place.user or "guest",
        password=place.password or "guest",
        virtual_host=place.vhost,
        transport=_over(path, used),
        connect_timeout=CONNECT,
        heartbeat=0,
    )


def _over(path: str, used: contextlib.ExitStack) -> Any:
    """kombu's transport of AMQP on the UNIX socket `path`; py-amqp itself knows only TCP.

    It connects once: where that ends, kombu would begin anew for ever.
    """
    made: list[socket.socket] = []
    tcp: Any = importlib.import_module("amqp.transport").TCPTransport
    pyamqp: Any = importlib.import_module("kombu.transport.pyamqp")

    class Socket(tcp):  # type: ignore[misc]
        def _connect(self, host: str, port: int, timeout: float | None) -> None:
            if made:
                raise EOFError("the broker ended the connection")
            self.sock = used.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            made.append(self.sock)
            self.sock.settimeout(timeout)
            self.sock.connect(path)

        def _set_socket_options(self, socket_settings: object) -> None:
            """They are of TCP."""

    class Connection(pyamqp.Connection):  # type: ignore[misc]
        def Transport(self, host: str, connect_timeout: float | None, *_: Any, **__: Any) -> Any:  # noqa: N802
            return Socket(host, connect_timeout=connect_timeout, read_timeout=CONNECT, write_timeout=CONNECT)

    return type("Over", (pyamqp.Transport,), {"Connection": Connection})


def _queues(connection: Any, names: Sequence[str]) -> dict[str, Queue]:
    """What each queue holds; none is declared by asking. For an unknown one RabbitMQ closes the channel."""
    not_found: Any = importlib.import_module("amqp.exceptions").NotFound
    told: dict[str, Queue] = {}
    channel = connection.channel()
    for name in names:
        try:
            found = channel.queue_declare(queue=name, passive=True)
            told[name] = Queue(found.message_count, found.consumer_count)
        except not_found:
            told[name] = Queue(None, None)
            channel = connection.channel()
    channel.close()
    return told


def _said(place: BrokerPlace, error: Exception) -> ServiceUnavailable | PermissionMissing | NotUnderstood:
    """The error of a library as ours. Its text may quote what was sent, so only its kind is told."""
    name = type(error).__name__
    what = "Redis" if place.kind == REDIS else "RabbitMQ"
    refused = ("AccessRefused", "NotAllowed", "AuthenticationError", "NoPermissionError")
    if name in refused or any(
        word in str(error) for word in ("NOAUTH", "WRONGPASS", "NOPERM", "ACCESS_REFUSED")
    ):
        return PermissionMissing(
            f"{what} at {place.endpoint} does not accept the login of the workers' configuration",
            remedy="compare the configuration with the broker's users",
        )
    if isinstance(error, OSError | EOFError) or name in (
        "OperationalError",
        "ConnectionError",
        "TimeoutError",
    ):
        return ServiceUnavailable(f"{what} at {place.endpoint} broke off or gave no answer in time")
    return NotUnderstood(f"{place.endpoint} answers, but not as {what} ({name})")
