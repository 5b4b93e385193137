"""Speaks to MongoDB before 4.4, which the installations from Aspen to Maple have and pymongo no longer knows.

OP_QUERY, the one message that 2.4 to 5.0 all understand, and OP_REPLY; documents are pymongo's BSON. Login is
SCRAM-SHA-1 (3.0 and later; RFC 5802). Everything is bounded by the Wire.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib
import secrets
import struct
from collections.abc import Mapping
from typing import Any

from edxconsole.errors import NotUnderstood, PermissionMissing
from edxconsole.health.wire import Wire
from edxconsole.inspect.mongodb_client import NOT_ACCEPTED, Login
from edxconsole.inspect.mongodb_interview import Answer, Ask, Refused, Told, interview
from edxconsole.numerals import natural

OP_REPLY, OP_QUERY = 1, 2004
MAY_READ_SECONDARY = 4
"""flag SlaveOk of OP_QUERY"""
MAX_MESSAGE = 1 << 20
MAX_ROUNDS = 100_000
"""of hashing; a server that wants more only wants our time"""

Document = Mapping[str, object]


async def hello(wire: Wire) -> Document:
    """`isMaster`, which every MongoDB from 2.4 to 8 answers in this way. Raises ValueError, Hangup."""
    await asyncio.to_thread(importlib.import_module, "bson")
    return await _query(wire, "admin.$cmd", {"isMaster": 1}, 1)


async def converse(wire: Wire, login: Login | None) -> Told:
    """The whole interview. Raises PermissionMissing, NotUnderstood, ValueError, Hangup."""
    if login is not None:
        await _log_in(wire, login)
    questions = interview()
    ask, number = next(questions), 100
    try:
        while True:
            number += 1
            ask = questions.send(await _answer(wire, ask, number))
    except StopIteration as end:
        told: Told = end.value
        return told


async def _answer(wire: Wire, ask: Ask, number: int) -> Answer:
    if "find" in ask.command:
        # 3.0 and before know no such command: there it is a query of the collection itself.
        query = {"$query": {}, "$orderby": ask.command["sort"]}
        place = f"{ask.database}.{ask.command['find']}"
        found = await _query(wire, place, query, number, fields=ask.command["projection"])
        return _refusal(found) or {"cursor": {"firstBatch": [found] if found else []}}
    found = await _query(wire, f"{ask.database}.$cmd", ask.command, number)
    return _refusal(found) or found


def _refusal(found: Document) -> Refused | None:
    said = found.get("$err") or (found.get("errmsg") if found.get("ok") != 1 else None)
    if said is None and ("ok" not in found or found["ok"] == 1):
        return None
    code = found.get("code")
    return Refused(str(said or "an error without words")[:200], code if isinstance(code, int) else None)


async def _query(wire: Wire, place: str, query: Document, number: int, fields: object = None) -> Document:
    """The first document of the answer, {} where there is none. Raises ValueError, Hangup."""
    bson: Any = importlib.import_module("bson")
    body = struct.pack("<i", MAY_READ_SECONDARY) + place.encode() + b"\0" + struct.pack("<ii", 0, -1)
    body += bson.encode(query) + (bson.encode(fields) if isinstance(fields, Mapping) else b"")
    await wire.send(struct.pack("<iiii", 16 + len(body), number, 0, OP_QUERY) + body)
    length, _, to, kind = struct.unpack("<iiii", await wire.exactly(16))
    if kind != OP_REPLY or to != number or not 36 <= length <= MAX_MESSAGE:
        raise ValueError("not an answer of MongoDB")
    message = await wire.exactly(length - 16)
    count = struct.unpack_from("<i", message, 16)[0]
    return _document(bson, message[20:]) if count > 0 else {}


def _document(bson: Any, data: bytes) -> Document:
    codec: Any = importlib.import_module("bson.codec_options")
    options = codec.CodecOptions(
        datetime_conversion=codec.DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
    )
    size = struct.unpack_from("<i", data)[0] if len(data) >= 5 else 0
    if not 5 <= size <= len(data):
        raise ValueError("cut BSON")
    try:
        found = bson.decode(data[:size], options)
    # bson raises whatever a strange document leads to.
    except Exception as error:
        raise ValueError("not BSON") from error
    return found if isinstance(found, dict) else {}


async def _log_in(wire: Wire, login: Login) -> None:
    """SCRAM-SHA-1. Raises PermissionMissing where the user is not accepted."""
    nonce = base64.b64encode(secrets.token_bytes(18)).decode()
    name = login.user.replace("=", "=3D").replace(",", "=2C")
    first = f"n={name},r={nonce}"
    place = f"{login.source}.$cmd"
    start = {"saslStart": 1, "mechanism": "SCRAM-SHA-1", "payload": f"n,,{first}".encode()}
    answer = await _said(wire, place, start, 2)
    payload = answer.get("payload")
    challenge = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    proof, expected = await asyncio.to_thread(scram_sha_1, login, first, challenge, nonce)
    more = {"saslContinue": 1, "conversationId": answer.get("conversationId"), "payload": proof}
    answer = await _said(wire, place, more, 3)
    said = answer.get("payload")
    if not isinstance(said, bytes) or not hmac.compare_digest(said, expected):
        raise NotUnderstood("MongoDB does not prove that it knows the password")
    if answer.get("done") is not True:
        await _said(wire, place, {**more, "payload": b""}, 4)


async def _said(wire: Wire, place: str, command: Document, number: int) -> Document:
    answer = await _query(wire, place, command, number)
    if _refusal(answer) is not None:
        raise PermissionMissing(NOT_ACCEPTED, remedy="see DOC_STORE_CONFIG there")
    return answer


def scram_sha_1(login: Login, first: str, challenge: str, nonce: str) -> tuple[bytes, bytes]:
    """(the client's last message, the server's last message as it must be).

    Raises NotUnderstood for a challenge that is none.
    """
    told = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
    rounds = natural(told.get("i", ""), 6)
    if rounds is None or not 0 < rounds <= MAX_ROUNDS:
        raise NotUnderstood("MongoDB asks for a login in another way than SCRAM-SHA-1")
    if not told.get("r", "").startswith(nonce):
        raise NotUnderstood("MongoDB answers the login of somebody else")
    # The password is hashed first, as MongoDB keeps it.
    digest = hashlib.md5(f"{login.user}:mongo:{login.password}".encode(), usedforsecurity=False).hexdigest()
    try:
        salt = base64.b64decode(told.get("s", ""), validate=True)
    except ValueError:
        raise NotUnderstood("MongoDB asks for a login in another way than SCRAM-SHA-1") from None
    salted = hashlib.pbkdf2_hmac("sha1", digest.encode(), salt, int(rounds))
    plain = f"c=biws,r={told['r']}"
    signed = f"{first},{challenge},{plain}".encode()
    key = hmac.digest(salted, b"Client Key", "sha1")
    signature = hmac.digest(hashlib.sha1(key).digest(), signed, "sha1")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha1"), signed, "sha1")
    return f"{plain},p={base64.b64encode(proof).decode()}".encode(), b"v=" + base64.b64encode(server)
