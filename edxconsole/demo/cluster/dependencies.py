"""Ask the data host's services a real question, as an LMS heartbeat does. Each raises `OSError`.

Wire formats: the MySQL client/server protocol (HandshakeV10, HandshakeResponse41, COM_QUERY), MongoDB's
OP_MSG, memcached's text protocol, Redis' RESP.
"""

from __future__ import annotations

import socket
import struct

TIMEOUT = 2.0
DATABASE_USER = "edxapp001"

_CLIENT_FLAGS = 0x0001 | 0x0200 | 0x8000 | 0x00080000
"""long password, protocol 4.1, secure connection, plugin auth"""


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


def ask_sql(host: str, port: int = 3306) -> None:
    """Log in to MySQL and run SELECT 1."""
    try:
        stream = _connect(host, port)
    except OSError as error:
        raise ConnectionError(
            f"(2003, \"Can't connect to MySQL server on '{host}' ({error.errno})\")"
        ) from error
    with stream:
        _mysql_packet(stream)
        body = struct.pack("<IIB23x", _CLIENT_FLAGS, 1 << 24, 33)
        body += DATABASE_USER.encode() + b"\0" + b"\0" + b"mysql_native_password\0"
        stream.sendall(len(body).to_bytes(3, "little") + b"\1" + body)
        _mysql_packet(stream)
        query = b"\x03SELECT 1"
        stream.sendall(len(query).to_bytes(3, "little") + b"\0" + query)
        _mysql_packet(stream)
        stream.sendall(b"\1\0\0\0\x01")


def ask_modulestore(host: str, port: int = 27017) -> None:
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


def ask_cache(host: str, port: int = 11211) -> None:
    """Set a memcached key and get it back."""
    with _connect(host, port) as stream:
        stream.sendall(b"set heartbeat 0 5 2\r\nok\r\n")
        if _exactly(stream, 8) != b"STORED\r\n":
            raise ConnectionError("set failed")
        stream.sendall(b"get heartbeat\r\n")
        if not _exactly(stream, 23).startswith(b"VALUE heartbeat 0 2"):
            raise ConnectionError("get failed")


def ask_redis(host: str, port: int = 6379) -> None:
    """PING."""
    with _connect(host, port) as stream:
        stream.sendall(b"PING\r\n")
        if not _exactly(stream, 5).startswith(b"+PONG"):
            raise ConnectionError("no PONG")
