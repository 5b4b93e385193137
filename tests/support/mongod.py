"""A stand-in for mongod, for there is none on these machines: it speaks the wire protocol and keeps nothing.

What it answers is written by hand in the shapes of the MongoDB manual (serverStatus, replSetGetStatus,
dbStats, listDatabases; 3.2 and 7.0); its version says "stand-in". Logins are SCRAM-SHA-1 as RFC 5802 has it,
written apart from the console's, and tried by pymongo as well.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson.timestamp import Timestamp

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
FREE = {"hello", "ismaster", "buildinfo", "ping", "saslstart", "saslcontinue", "endsessions"}
"""what mongod tells without a login"""
SALT, ROUNDS = b"0123456789abcdef", 10000
Document = dict[str, Any]

DATABASES: Mapping[str, Document] = {
    "edxapp": {"collections": 9, "objects": 12045, "dataSize": 91234567.0, "indexes": 24, "ok": 1.0},
    "cs_comments_service": {"collections": 5, "objects": 310, "dataSize": 4096.0, "indexes": 31, "ok": 1.0},
    "local": {"collections": 7, "objects": 99, "dataSize": 2048.0, "indexes": 1, "ok": 1.0},
}


def member(name: str, state: str, behind: float, **more: object) -> Document:
    """One member of replSetGetStatus, so many seconds behind NOW."""
    at = NOW - timedelta(seconds=behind)
    return {"name": name, "stateStr": state, "health": 1.0, "uptime": 86400, "optimeDate": at, **more}


@dataclass
class StandIn:
    """One mongod. `wire` 4 is 3.2, 6 is 3.6, 9 is 4.4, 21 is 7.0 (maxWireVersion)."""

    wire: int = 21
    users: Mapping[str, str] = field(default_factory=dict)
    """with users, a login is wanted"""
    replica: list[Document] = field(default_factory=list)
    denied: frozenset[str] = frozenset()
    """commands that the user who logged in may not call, lower case"""
    waiting: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(database, command) of everything it was asked"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one = _Connection(self)
        with suppress(asyncio.IncompleteReadError):
            while True:
                size, number, _, kind = struct.unpack("<iiii", await reader.readexactly(16))
                body = await reader.readexactly(size - 16)
                writer.write(one.reply(number, kind, body))
                await writer.drain()


class _Connection:
    def __init__(self, server: StandIn) -> None:
        self._server = server
        self._known = not server.users
        self._first = self._challenge = self._user = ""

    def reply(self, number: int, kind: int, body: bytes) -> bytes:
        if kind == OP_MSG:
            said = bson.decode(body[5 : 5 + struct.unpack_from("<i", body, 5)[0]])
            payload = struct.pack("<I", 0) + b"\0" + bson.encode(self._answer(str(said.pop("$db")), said))
            return struct.pack("<iiii", 16 + len(payload), 1, number, OP_MSG) + payload
        assert kind == OP_QUERY, kind
        place = body[4 : body.index(0, 4)].decode()
        at = body.index(0, 4) + 9
        said = bson.decode(body[at : at + struct.unpack_from("<i", body, at)[0]])
        found = self._old(place, said)
        payload = struct.pack("<iqii", 8, 0, 0, len(found)) + b"".join(bson.encode(x) for x in found)
        return struct.pack("<iiii", 16 + len(payload), 1, number, OP_REPLY) + payload

    def _old(self, place: str, said: Document) -> list[Document]:
        database, _, collection = place.partition(".")
        if collection == "$cmd":
            if self._server.wire > 13 and next(iter(said)).lower() not in ("ismaster", "hello"):
                return [{"ok": 0.0, "code": 352, "errmsg": "Unsupported OP_QUERY command"}]
            return [self._answer(database, said)]
        if not self._known:
            return [{"$err": f"not authorized for query on {place}", "code": 13}]
        return [self._entry(said["$orderby"]["$natural"])]

    def _entry(self, way: int) -> Document:
        seconds = 3 * 86400 if way == 1 else 0
        return {"ts": Timestamp(int(NOW.timestamp()) - seconds, 1)}

    def _answer(self, database: str, said: Document) -> Document:
        name = next(iter(said)).lower()
        self._server.asked.append((database, name))
        if (not self._known and name not in FREE) or name in self._server.denied:
            words = f"not authorized on {database} to execute command {name}"
            return {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": words}
        make = getattr(self, f"_{name}", None)
        if make is None:
            return {
                "ok": 0.0,
                "errmsg": f"no such command: '{name}'",
                "code": 59,
                "codeName": "CommandNotFound",
            }
        return dict(make(database, said))

    def _ismaster(self, database: str, said: Document) -> Document:
        found: Document = {
            "ismaster": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000, "localTime": NOW, "minWireVersion": 0,
            "maxWireVersion": self._server.wire, "readOnly": False, "ok": 1.0,
        }  # fmt: skip
        if self._server.replica:
            primary = [m["name"] for m in self._server.replica if m["stateStr"] == "PRIMARY"]
            found |= {"setName": "edx", "setVersion": 1, "me": "data1:27017", "hosts": ["data1:27017"]}
            found |= {"primary": primary[0]} if primary else {"ismaster": False, "secondary": True}
        return found

    _hello = _ismaster

    def _ping(self, database: str, said: Document) -> Document:
        return {"ok": 1.0}

    _endsessions = _ping

    def _buildinfo(self, database: str, said: Document) -> Document:
        return {"version": f"{'3.2' if self._server.wire < 9 else '7.0'}-stand-in", "ok": 1.0}

    def _serverstatus(self, database: str, said: Document) -> Document:
        waiting = self._server.waiting
        return {
            "host": "data1", "version": "stand-in", "process": "mongod", "pid": 4242, "uptime": 93600.0,
            "storageEngine": {"name": "wiredTiger"},
            "connections": {"current": 60, "available": 758, "totalCreated": 9000},
            "globalLock": {
                "currentQueue": {"total": waiting, "readers": waiting, "writers": 0},
                "activeClients": {"total": 12, "readers": 2, "writers": 1},
            },
            "mem": {"resident": 412, "virtual": 1500, "supported": True},
            "localTime": NOW, "ok": 1.0,
        }  # fmt: skip

    def _listdatabases(self, database: str, said: Document) -> Document:
        rows = [{"name": n, "sizeOnDisk": 65536.0 * i, "empty": False} for i, n in enumerate(DATABASES, 1)]
        return {"databases": rows, "totalSize": 1.0, "ok": 1.0}

    def _dbstats(self, database: str, said: Document) -> Document:
        return {"db": database, **DATABASES[database]}

    def _replsetgetstatus(self, database: str, said: Document) -> Document:
        return {"set": "edx", "myState": 1, "date": NOW, "members": self._server.replica, "ok": 1.0}

    def _find(self, database: str, said: Document) -> Document:
        assert (database, said["find"], said["limit"]) == ("local", "oplog.rs", 1)
        row = self._entry(said["sort"]["$natural"])
        return {"cursor": {"id": 0, "ns": "local.oplog.rs", "firstBatch": [row]}, "ok": 1.0}

    def _saslstart(self, database: str, said: Document) -> Document:
        if said["mechanism"] != "SCRAM-SHA-1":
            return {"ok": 0.0, "code": 2, "errmsg": "no such mechanism here"}
        self._first = bytes(said["payload"]).decode().removeprefix("n,,")
        self._user, nonce = (part[2:] for part in self._first.split(","))
        self._challenge = f"r={nonce}SERVER,s={base64.b64encode(SALT).decode()},i={ROUNDS}"
        return {"conversationId": 1, "done": False, "payload": self._challenge.encode(), "ok": 1.0}

    def _saslcontinue(self, database: str, said: Document) -> Document:
        message = bytes(said["payload"]).decode()
        if not message:
            return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
        plain, _, proof = message.rpartition(",p=")
        secret = self._server.users.get(self._user, "")
        digest = hashlib.md5(f"{self._user}:mongo:{secret}".encode()).hexdigest()
        salted = hashlib.pbkdf2_hmac("sha1", digest.encode(), SALT, ROUNDS)
        signed = ",".join((self._first, self._challenge, plain)).encode()
        key = hmac.new(salted, b"Client Key", "sha1").digest()
        signature = hmac.new(hashlib.sha1(key).digest(), signed, "sha1").digest()
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature, strict=True)) or not secret:
            return {"ok": 0.0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "auth failed"}
        self._known = True
        server = hmac.new(hmac.new(salted, b"Server Key", "sha1").digest(), signed, "sha1").digest()
        return {"conversationId": 1, "done": False, "payload": b"v=" + base64.b64encode(server), "ok": 1.0}
