"""`python standin.py NAME ADDRESS`: a small server in place of a daemon that pip can't bring.

It answers as much of the protocol as a health check asks, has the daemon's process name, and says "stand-in"
in its command line and wherever the protocol carries a version. Standard library only; run by path.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

_LINE = 1 << 16


class Peer:
    """A client. Blocks: a thread each takes half the memory that asyncio does."""

    def __init__(self, client: socket.socket, address: tuple[str, int]) -> None:
        self.host, self.name = address[0], f"{address[0]}:{address[1]}"
        self._client = client
        self._file = client.makefile("rb")

    def readline(self) -> bytes:
        """A line, empty at the end."""
        return self._file.readline(_LINE)

    def exactly(self, count: int) -> bytes:
        """So many bytes. Raises EOFError."""
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def head(self) -> bytes:
        """The head of a request of HTTP's with its empty line. Raises EOFError."""
        lines: list[bytes] = []
        while (line := self.readline()) not in (b"\r\n", b"\n"):
            if not line or len(lines) > 200:
                raise EOFError
            lines.append(line)
        return b"".join(lines) + b"\r\n"

    def some(self) -> bytes:
        """What comes next, or nothing at the end."""
        return self._client.recv(_LINE)

    def write(self, data: bytes) -> None:
        """Send it all."""
        self._client.sendall(data)


Handler = Callable[[Peer, int], None]

_START = time.time()
_ROOT = os.environ.get("EDX_DEMO_ROOT", "")
_CACHE: dict[bytes, bytes] = {}
connections = 0
_counting = threading.Lock()


def _log(path: str, line: str) -> None:
    with open(_ROOT + path, "a") as file:
        file.write(line + "\n")


def memcached(peer: Peer, _: int) -> None:
    """version, stats, set, get, quit."""
    while line := peer.readline():
        words = line.split()
        match words[:1]:
            case [b"version"]:
                peer.write(b"VERSION 1.6.18-stand-in\r\n")
            case [b"stats"]:
                stats = {
                    "pid": os.getpid(), "uptime": int(time.time() - _START), "curr_connections": connections,
                    "curr_items": len(_CACHE), "limit_maxbytes": 67108864, "evictions": 0,
                    "get_hits": 0, "get_misses": 0, "version": "1.6.18-stand-in", "bytes": 0,
                }  # fmt: skip
                peer.write("".join(f"STAT {k} {v}\r\n" for k, v in stats.items()).encode() + b"END\r\n")
            case [b"set"]:
                _CACHE[words[1]] = (peer.exactly(int(words[4]) + 2))[:-2]
                peer.write(b"STORED\r\n")
            case [b"get"]:
                value = _CACHE.get(words[1])
                if value is not None:
                    peer.write(b"VALUE %s 0 %d\r\n%s\r\n" % (words[1], len(value), value))
                peer.write(b"END\r\n")
            case [b"quit"]:
                return
            case _:
                peer.write(b"ERROR\r\n")


def _packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def mysqld(peer: Peer, _: int) -> None:
    """HandshakeV10, OK to any login, OK to every query."""
    greeting = (
        b"\x0a8.0.0-stand-in\0" + struct.pack("<I", connections) + b"abcdefgh\0\xff\xf7\x21\x02\0\xff\xc1\x15"
    )
    peer.write(_packet(0, greeting + b"\0" * 10 + b"abcdefghijkl\0mysql_native_password\0"))
    ok = b"\0\0\0\2\0\0\0"
    number = 2
    while head := peer.exactly(4):
        body = peer.exactly(int.from_bytes(head[:3], "little"))
        if head[3] == 0 and body[:1] == b"\1":
            return
        number = head[3] + 1
        peer.write(_packet(number, ok))


def redis(peer: Peer, _: int) -> None:
    """PING, INFO, and LLEN, which is always 0."""
    while line := peer.readline():
        words = [line.strip()]
        if line[:1] == b"*":
            words = []
            for _i in range(int(line[1:])):
                size = int((peer.readline())[1:])
                words.append((peer.exactly(size + 2))[:-2])
        match words[0].split()[:1] and words[0].split()[0].upper():
            case b"PING":
                peer.write(b"+PONG\r\n")
            case b"LLEN":
                peer.write(b":0\r\n")
            case b"INFO":
                info = (
                    f"# Server\r\nredis_version:7.0.0-stand-in\r\nprocess_id:{os.getpid()}\r\n"
                    f"uptime_in_seconds:{int(time.time() - _START)}\r\nconnected_clients:{connections}\r\n"
                ).encode()
                peer.write(b"$%d\r\n%s\r\n" % (len(info), info))
            case _:
                peer.write(b"-ERR unknown command (stand-in)\r\n")


def rabbitmq(peer: Peer, port: int) -> None:
    """The AMQP header and Connection.Start; on 15672 the management API's overview."""
    if port == 15672:
        peer.head()
        body = json.dumps(
            {"rabbitmq_version": "3.6.9 stand-in", "node": "rabbit@data", "status": "ok"}
        ).encode()
        peer.write(
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        peer.write(body)
        return
    if port != 5672:
        return
    if peer.exactly(8) != b"AMQP\0\0\x09\x01":
        peer.write(b"AMQP\0\0\x09\x01")
        return
    payload = (
        struct.pack(">HHBBI", 10, 10, 0, 9, 0)
        + struct.pack(">I", 5)
        + b"PLAIN"
        + struct.pack(">I", 5)
        + b"en_US"
    )
    peer.write(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")
    stamp = time.strftime("%d-%b-%Y::%H:%M:%S")
    _log(
        "/var/log/rabbitmq/rabbit@data.log",
        f"\n=INFO REPORT==== {stamp} ===\naccepting AMQP connection <0.{connections}.0> ({peer.name})",
    )
    peer.some()


def mongod(peer: Peer, _: int) -> None:
    """OP_MSG and legacy OP_QUERY: every command is answered ok, hello and serverStatus with numbers."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S") + ".000+0000"
    _log(
        "/edx/var/log/mongo/mongodb.log",
        f"{stamp} I NETWORK  [initandlisten] connection accepted from {peer.name} #{connections} "
        f"({connections} connections now open)",
    )
    while True:
        size, request, _zero, code = struct.unpack("<iiii", peer.exactly(16))
        body = peer.exactly(size - 16)
        answer = _mongo_answer()
        if code == 2013:
            message = struct.pack("<I", 0) + b"\0" + answer
            code = 2013
        else:
            message = struct.pack("<iqii", 8, 0, 0, 1) + answer
            code = 1
        del body
        peer.write(struct.pack("<iiii", 16 + len(message), 1, request, code) + message)


def _mongo_answer() -> bytes:
    """One BSON document that does for hello, ping, buildInfo and serverStatus."""
    parts = [b"\x08ismaster\0\1", b"\x08isWritablePrimary\0\1", b"\x08helloOk\0\1"]
    version = b"3.6.0-stand-in\0"
    parts.append(b"\x02version\0" + struct.pack("<i", len(version)) + version)
    numbers = {
        "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
        "minWireVersion": 0, "maxWireVersion": 17,
    }  # fmt: skip
    parts += [b"\x10" + k.encode() + b"\0" + struct.pack("<i", v) for k, v in numbers.items()]
    parts.append(b"\x01uptime\0" + struct.pack("<d", time.time() - _START))
    parts.append(b"\x01ok\0" + struct.pack("<d", 1.0))
    body = b"".join(parts) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


_UPSTREAMS = {80: 8000, 8080: 8000, 18000: 8000, 18010: 8010, 18040: 8040}
_turn = 0


def nginx(peer: Peer, port: int) -> None:
    """Hand a request to the next app host in turn; 502 if none takes it. Logs as nginx does."""
    global _turn
    head = peer.head()
    line = head.split(b"\r\n", 1)[0].decode(errors="replace")
    began = time.time()
    apps = os.environ.get("EDX_DEMO_APPS", "app1 app2").split()
    body = b"HTTP/1.0 502 Bad Gateway\r\nServer: nginx stand-in\r\nContent-Length: 0\r\n\r\n"
    for _attempt in apps:
        _turn += 1
        app = apps[_turn % len(apps)]
        try:
            with socket.create_connection((app, _UPSTREAMS[port]), 5) as upstream:
                upstream.settimeout(30)
                upstream.sendall(head.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
                body = upstream.makefile("rb").read()
            break
        except OSError as error:
            stamp = time.strftime("%Y/%m/%d %H:%M:%S")
            _log(
                "/edx/var/log/nginx/error.log",
                f"{stamp} [error] {os.getpid()}#{os.getpid()}: *{connections} "
                f"connect() failed ({error.errno}: "
                f'{os.strerror(error.errno or 111)}) while connecting to upstream, request: "{line}", '
                f'upstream: "http://{app}:{_UPSTREAMS[port]}/"',
            )
    peer.write(body)
    _nginx_access(head, line, body, time.time() - began, peer.host)


def _nginx_access(head: bytes, line: str, body: bytes, seconds: float, peer: str) -> None:
    fields = dict(part.split(b": ", 1) for part in head.split(b"\r\n")[1:] if b": " in part)
    forwarded = fields.get(b"X-Forwarded-For", b"-").decode(errors="replace")
    agent = fields.get(b"User-Agent", b"-").decode(errors="replace")
    status = body.split(b" ", 2)[1].decode() if body.count(b" ") > 1 else "502"
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    size = len(body.split(b"\r\n\r\n", 1)[-1])
    _log(
        "/edx/var/log/nginx/access.log",
        f'{forwarded} - {peer} - - - [{stamp}]  "{line}" {status} {size} {seconds:.3f} "-" "{agent}"',
    )


_SERVERS: dict[str, tuple[str, tuple[int, ...], Handler]] = {
    "nginx": ("nginx: master process (stand-in)", (80, 18000, 18010, 18040), nginx),
    "memcached": ("memcached (stand-in)", (11211,), memcached),
    "mysqld": ("mysqld (stand-in)", (3306,), mysqld),
    "redis-server": ("redis-server (stand-in)", (6379,), redis),
    "beam.smp": ("beam.smp (stand-in for rabbitmq)", (5672, 15672, 25672), rabbitmq),
    "mongod": ("mongod (stand-in)", (27017,), mongod),
}


def serve(name: str, address: str) -> None:
    """Listen on the daemon's ports, for ever."""
    _, ports, handler = _SERVERS[name]
    threading.stack_size(256 * 1024)
    for port in ports:
        low = address != "0.0.0.0" and port < 1024
        listener = socket.create_server((address, 8080 if low else port), backlog=100)
        threading.Thread(target=_accept, args=(listener, handler, port)).start()
    print(f"{name} stand-in: waiting for connections on {ports}", flush=True)


def _accept(listener: socket.socket, handler: Handler, port: int) -> None:
    while True:
        try:
            client, address = listener.accept()
        except OSError:
            # Too many open files: some of them will be closed.
            time.sleep(0.2)
            continue
        threading.Thread(target=_talk, args=(client, address, handler, port), daemon=True).start()


def _talk(client: socket.socket, address: tuple[str, int], handler: Handler, port: int) -> None:
    """One client to its end; what it should not have said ends it, too."""
    global connections
    with _counting:
        connections += 1
    try:
        with client:
            handler(Peer(client, address), port)
    except (OSError, EOFError, ValueError, IndexError, struct.error):
        return
    finally:
        with _counting:
            connections -= 1


def main() -> None:
    """Take the daemon's name on the command line and in comm, then serve.

    The kernel shows what exec was given, so it runs itself again once under that name; PYTHONHOME replaces
    what the interpreter otherwise learns from its own path.
    """
    name, address = sys.argv[1:3]
    shown = _SERVERS[name][0]
    if "EDX_DEMO_STANDIN" not in os.environ:
        env = os.environ | {"EDX_DEMO_STANDIN": name, "PYTHONHOME": sys.base_prefix}
        os.execve(sys.executable, [shown, "-S", os.path.abspath(__file__), name, address], env)
    ctypes.CDLL(None).prctl(15, name.encode()[:15], 0, 0, 0)
    serve(name, address)


if __name__ == "__main__":
    main()
