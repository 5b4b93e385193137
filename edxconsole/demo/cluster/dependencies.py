"""Ask the services of other hosts a real question, as an LMS heartbeat does. Each raises `OSError`.

Wire formats: the MySQL client/server protocol (HandshakeV10, HandshakeResponse41, COM_QUERY), MongoDB's
OP_MSG, memcached's text protocol, Redis' RESP, the head of AMQP 0-9-1.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from typing import NamedTuple

TIMEOUT = 2.0

_CLIENT_FLAGS = 0x0001 | 0x0008 | 0x0200 | 0x8000 | 0x00080000
"""long password, with a database, protocol 4.1, secure connection, plugin auth"""


class Login(NamedTuple):
    """A user of MySQL's and the database it works in."""

    user: str
    password: str
    database: str


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), TIMEOUT)


def _exactly(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = stream.recv(size - len(data))
        if not chunk:
            raise ConnectionError("Lost connection to server")
        data += chunk
    return data


def _mysql_packet(stream: socket.socket) -> bytes:
    length = int.from_bytes(_exactly(stream, 4)[:3], "little")
    packet = _exactly(stream, length)
    if packet[:1] == b"\xff":
        code = int.from_bytes(packet[1:3], "little")
        raise ConnectionError(f"({code}, {packet[9:].decode(errors='replace')!r})")
    return packet


def _scrambled(password: str, greeting: bytes) -> bytes:
    """What mysql_native_password sends: SHA1(p) xor SHA1(salt + SHA1(SHA1(p))), the salt of the greeting."""
    start = greeting.index(b"\0", 1) + 5
    salt = greeting[start : start + 8] + greeting[start + 27 : start + 39]
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    twice = hashlib.sha1(once, usedforsecurity=False).digest()
    mask = hashlib.sha1(salt + twice, usedforsecurity=False).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def ask_sql(host: str, port: int, login: Login) -> None:
    """Log in to MySQL and run SELECT 1."""
    try:
        stream = _connect(host, port)
    except OSError as error:
        raise ConnectionError(
            f"(2003, \"Can't connect to MySQL server on '{host}' ({error.errno})\")"
        ) from error
    with stream:
        scrambled = _scrambled(login.password, _mysql_packet(stream))
        body = struct.pack("<IIB23x", _CLIENT_FLAGS, 1 << 24, 33)
        body += login.user.encode() + b"\0" + bytes([len(scrambled)]) + scrambled
        body += login.database.encode() + b"\0" + b"mysql_native_password\0"
        stream.sendall(len(body).to_bytes(3, "little") + b"\1" + body)
        _mysql_packet(stream)
        query = b"\x03SELECT 1"
        stream.sendall(len(query).to_bytes(3, "little") + b"\0" + query)
        _mysql_packet(stream)
        stream.sendall(b"\1\0\0\0\x01")


def ask_modulestore(host: str, port: int) -> None:
    """Send MongoDB {ping: 1}."""
    document = b"\x10ping\0\1\0\0\0" + b"\x02$db\0\6\0\0\0admin\0"
    document = struct.pack("<i", len(document) + 5) + document + b"\0"
    message = struct.pack("<I", 0) + b"\0" + document
    try:
        stream = _connect(host, port)
    except OSError as error:
        raise ConnectionError(f"{host}:{port}: {error}") from error
    with stream:
        stream.sendall(struct.pack("<iiii", 16 + len(message), 1, 0, 2013) + message)
        (length,) = struct.unpack("<i", _exactly(stream, 4))
        if b"\x01ok\0" + struct.pack("<d", 1.0) not in _exactly(stream, length - 4):
            raise ConnectionError("ping was refused")


def ask_cache(host: str, port: int) -> None:
    """Set a memcached key and get it back."""
    with _connect(host, port) as stream:
        stream.sendall(b"set heartbeat 0 5 2\r\nok\r\n")
        if _exactly(stream, 8) != b"STORED\r\n":
            raise ConnectionError("set failed")
        stream.sendall(b"get heartbeat\r\n")
        if not _exactly(stream, 23).startswith(b"VALUE heartbeat 0 2"):
            raise ConnectionError("get failed")


def ask_redis(host: str, port: int) -> None:
    """PING."""
    with _connect(host, port) as stream:
        stream.sendall(b"PING\r\n")
        if not _exactly(stream, 5).startswith(b"+PONG"):
            raise ConnectionError("no PONG")


def ask_rabbit(host: str, port: int) -> None:
    """Say AMQP 0-9-1 and wait for Connection.Start."""
    with _connect(host, port) as stream:
        stream.sendall(b"AMQP\0\0\x09\x01")
        kind, _, length = struct.unpack(">BHI", _exactly(stream, 7))
        if kind != 1 or not _exactly(stream, length + 1).startswith(b"\0\x0a\0\x0a"):
            raise ConnectionError("no Connection.Start")


def ask_xqueue(host: str, port: int) -> None:
    """Hand in an answer to be graded."""
    with _connect(host, port) as stream:
        stream.sendall(b"GET /xqueue/submit/ HTTP/1.0\r\nHost: xqueue\r\n\r\n")
        words = _exactly(stream, 12).split()
        if words[1:] != [b"200"]:
            raise ConnectionError(f"unexpected HTTP status code [{words[-1].decode(errors='replace')}]")
