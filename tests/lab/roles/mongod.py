"""A stand-in for mongod: it listens, names itself mongod and answers the wire protocol's ping and hello.

Debian has no MongoDB and it can't be had otherwise here; nothing is stored. Usage: mongod.py ADDRESS PORT
"""

import asyncio
import contextlib
import ctypes
import os
import struct
import sys
import time
from datetime import UTC, datetime
from typing import Any

import bson

PR_SET_NAME = 15
OP_MSG, OP_QUERY, OP_REPLY = 2013, 2004, 1
STARTED = time.time()


def answer(command: dict[str, Any]) -> dict[str, Any]:
    """The document mongod would send back; the command's name is its first key."""
    name = next(iter(command)).lower()
    if name in {"hello", "ismaster"}:
        return {
            "helloOk": True,
            "ismaster": True,
            "isWritablePrimary": True,
            "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000,
            "localTime": datetime.now(UTC),
            "minWireVersion": 0,
            "maxWireVersion": 17,
            "readOnly": False,
            "ok": 1.0,
        }
    if name in {"ping", "endsessions"}:
        return {"ok": 1.0}
    if name == "buildinfo":
        return {
            "version": "4.0.0-stand-in",
            "versionArray": [4, 0, 0, 0],
            "maxBsonObjectSize": 16777216,
            "ok": 1.0,
        }
    if name == "serverstatus":
        return {
            "host": os.uname().nodename,
            "version": "4.0.0-stand-in",
            "process": "mongod",
            "pid": os.getpid(),
            "uptime": time.time() - STARTED,
            "globalLock": {"currentQueue": {"total": 0, "readers": 0, "writers": 0}},
            "connections": {"current": 3, "available": 51197},
            "ok": 1.0,
        }
    return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}


def reply_to(request: int, opcode: int, body: bytes) -> bytes:
    """A whole message for one that was received."""
    if opcode == OP_MSG:
        size = struct.unpack("<i", body[5:9])[0]
        payload = struct.pack("<I", 0) + b"\0" + bson.encode(answer(bson.decode(body[5 : 5 + size])))
        return struct.pack("<iiii", 16 + len(payload), 1, request, OP_MSG) + payload
    document = bson.decode(body[body.index(0, 4) + 9 :])
    payload = struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(answer(document))
    return struct.pack("<iiii", 16 + len(payload), 1, request, OP_REPLY) + payload


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            size, request, _, opcode = struct.unpack("<iiii", await reader.readexactly(16))
            body = await reader.readexactly(size - 16)
            if opcode not in {OP_MSG, OP_QUERY}:
                break
            writer.write(reply_to(request, opcode, body))
            await writer.drain()
    writer.close()


async def main(address: str, port: int) -> None:
    server = await asyncio.start_server(serve, address, port)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    print(f"{stamp} I NETWORK  [initandlisten] waiting for connections on port {port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_NAME, b"mongod", 0, 0, 0)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
