"""`python standin.py NAME ADDRESS`: a small server in place of a daemon that pip can't bring.

It answers as much of the protocol as a health check asks, has the daemon's process name, and says "stand-in"
in its command line and wherever the protocol carries a version. Standard library only; run by path.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import json
import os
import struct
import sys
import time
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable

Handler = Callable[[Reader, Writer, int], Awaitable[None]]

_START = time.time()
_ROOT = os.environ.get("EDX_DEMO_ROOT", "")
_CACHE: dict[bytes, bytes] = {}
connections = 0


def _log(path: str, line: str) -> None:
    with open(_ROOT + path, "a") as file:
        file.write(line + "\n")


async def memcached(reader: Reader, writer: Writer, _: int) -> None:
    """version, stats, set, get, quit."""
    while line := await reader.readline():
        words = line.split()
        match words[:1]:
            case [b"version"]:
                writer.write(b"VERSION 1.6.18-stand-in\r\n")
            case [b"stats"]:
                stats = {
                    "pid": os.getpid(), "uptime": int(time.time() - _START), "curr_connections": connections,
                    "curr_items": len(_CACHE), "limit_maxbytes": 67108864, "evictions": 0,
                    "get_hits": 0, "get_misses": 0, "version": "1.6.18-stand-in", "bytes": 0,
                }  # fmt: skip
                writer.write("".join(f"STAT {k} {v}\r\n" for k, v in stats.items()).encode() + b"END\r\n")
            case [b"set"]:
                _CACHE[words[1]] = (await reader.readexactly(int(words[4]) + 2))[:-2]
                writer.write(b"STORED\r\n")
            case [b"get"]:
                value = _CACHE.get(words[1])
                if value is not None:
                    writer.write(b"VALUE %s 0 %d\r\n%s\r\n" % (words[1], len(value), value))
                writer.write(b"END\r\n")
            case [b"quit"]:
                return
            case _:
                writer.write(b"ERROR\r\n")


def _packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


async def mysqld(reader: Reader, writer: Writer, _: int) -> None:
    """HandshakeV10, OK to any login, OK to every query."""
    greeting = (
        b"\x0a8.0.0-stand-in\0" + struct.pack("<I", connections) + b"abcdefgh\0\xff\xf7\x21\x02\0\xff\xc1\x15"
    )
    writer.write(_packet(0, greeting + b"\0" * 10 + b"abcdefghijkl\0mysql_native_password\0"))
    ok = b"\0\0\0\2\0\0\0"
    number = 2
    while head := await reader.readexactly(4):
        body = await reader.readexactly(int.from_bytes(head[:3], "little"))
        if head[3] == 0 and body[:1] == b"\1":
            return
        number = head[3] + 1
        writer.write(_packet(number, ok))


async def redis(reader: Reader, writer: Writer, _: int) -> None:
    """PING, INFO, and LLEN, which is always 0."""
    while line := await reader.readline():
        words = [line.strip()]
        if line[:1] == b"*":
            words = []
            for _i in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
        match words[0].split()[:1] and words[0].split()[0].upper():
            case b"PING":
                writer.write(b"+PONG\r\n")
            case b"LLEN":
                writer.write(b":0\r\n")
            case b"INFO":
                info = (
                    f"# Server\r\nredis_version:7.0.0-stand-in\r\nprocess_id:{os.getpid()}\r\n"
                    f"uptime_in_seconds:{int(time.time() - _START)}\r\nconnected_clients:{connections}\r\n"
                ).encode()
                writer.write(b"$%d\r\n%s\r\n" % (len(info), info))
            case _:
                writer.write(b"-ERR unknown command (stand-in)\r\n")


async def rabbitmq(reader: Reader, writer: Writer, port: int) -> None:
    """The AMQP header and Connection.Start; on 15672 the management API's overview."""
    if port == 15672:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(
            {"rabbitmq_version": "3.6.9 stand-in", "node": "rabbit@data", "status": "ok"}
        ).encode()
        writer.write(
            b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        writer.write(body)
        return
    if port != 5672:
        return
    if await reader.readexactly(8) != b"AMQP\0\0\x09\x01":
        writer.write(b"AMQP\0\0\x09\x01")
        return
    payload = (
        struct.pack(">HHBBI", 10, 10, 0, 9, 0)
        + struct.pack(">I", 5)
        + b"PLAIN"
        + struct.pack(">I", 5)
        + b"en_US"
    )
    writer.write(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")
    stamp = time.strftime("%d-%b-%Y::%H:%M:%S")
    peer = writer.get_extra_info("peername")
    _log(
        "/var/log/rabbitmq/rabbit@data.log",
        f"\n=INFO REPORT==== {stamp} ===\n"
        f"accepting AMQP connection <0.{connections}.0> ({peer[0]}:{peer[1]})",
    )
    await reader.read(64)


async def mongod(reader: Reader, writer: Writer, _: int) -> None:
    """OP_MSG and legacy OP_QUERY: every command is answered ok, hello and serverStatus with numbers."""
    peer = writer.get_extra_info("peername")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S") + ".000+0000"
    _log(
        "/edx/var/log/mongo/mongodb.log",
        f"{stamp} I NETWORK  [initandlisten] connection accepted from {peer[0]}:{peer[1]} #{connections} "
        f"({connections} connections now open)",
    )
    while True:
        size, request, _zero, code = struct.unpack("<iiii", await reader.readexactly(16))
        body = await reader.readexactly(size - 16)
        answer = _mongo_answer()
        if code == 2013:
            message = struct.pack("<I", 0) + b"\0" + answer
            code = 2013
        else:
            message = struct.pack("<iqii", 8, 0, 0, 1) + answer
            code = 1
        del body
        writer.write(struct.pack("<iiii", 16 + len(message), 1, request, code) + message)
        await writer.drain()


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


async def nginx(reader: Reader, writer: Writer, port: int) -> None:
    """Hand a request to the next app host in turn; 502 if none takes it. Logs as nginx does."""
    global _turn
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    line = head.split(b"\r\n", 1)[0].decode(errors="replace")
    began = time.time()
    apps = os.environ.get("EDX_DEMO_APPS", "app1 app2").split()
    body = b"HTTP/1.0 502 Bad Gateway\r\nServer: nginx stand-in\r\nContent-Length: 0\r\n\r\n"
    for _attempt in apps:
        _turn += 1
        app = apps[_turn % len(apps)]
        try:
            up_reader, up_writer = await asyncio.wait_for(asyncio.open_connection(app, _UPSTREAMS[port]), 5)
            up_writer.write(head.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            body = await asyncio.wait_for(up_reader.read(-1), 30)
            up_writer.close()
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
    writer.write(body)
    _nginx_access(head, line, body, time.time() - began, writer.get_extra_info("peername")[0])


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


async def serve(name: str, address: str) -> None:
    """Listen on the daemon's ports, for ever."""
    _, ports, handler = _SERVERS[name]

    async def connected(port: int, reader: Reader, writer: Writer) -> None:
        global connections
        connections += 1
        try:
            await handler(reader, writer, port)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, TimeoutError):
            pass
        finally:
            connections -= 1
            writer.close()

    for port in ports:
        low = address != "0.0.0.0" and port < 1024
        listen = 8080 if low else port
        await asyncio.start_server(functools.partial(connected, port), address, listen)
    print(f"{name} stand-in: waiting for connections on {ports}", flush=True)
    await asyncio.Event().wait()


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
    asyncio.run(serve(name, address))


if __name__ == "__main__":
    main()
