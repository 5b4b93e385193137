"""Speaks to MongoDB 4.4 and later by pymongo, through a Bridge.

pymongo connects by itself and has threads of its own, which watch the server: it gets one connection for the
questions, no retries, and is closed when they are answered. Servers before 4.4 it does not speak to
(mongodb_old.py does). All of this blocks, and runs in a thread; pymongo takes 0.3 s to import.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from edxconsole.errors import NotUnderstood, PermissionMissing, ServiceError, ServiceUnavailable
from edxconsole.inspect.mongodb_interview import Answer, Ask, Refused, Told, interview

SPOKEN_FROM = 9
"""maxWireVersion of MongoDB 4.4, the oldest that pymongo 4.20 speaks to (pymongo/common.py)"""
CONNECT = 4.0
ANSWER = 6.0
NOT_ACCEPTED = "MongoDB does not accept the user of the configuration"


@dataclass(frozen=True, slots=True)
class Login:
    """A user of MongoDB, used once and never shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    source: str = "admin"
    """the database that knows the user"""


def converse(path: str, login: Login | None) -> Told:
    """Ask the server behind the UNIX socket `path`. Blocks.

    Raises PermissionMissing when it does not accept the login, ServiceUnavailable, NotUnderstood.
    """
    try:
        with _client(path, login) as client:
            return _drive(client)
    except ServiceError:
        raise
    # pymongo and its BSON raise whatever a strange answer leads to.
    except Exception as error:  # noqa: BLE001
        raise _said(error) from None


def _client(path: str, login: Login | None) -> Any:
    pymongo: Any = importlib.import_module("pymongo")
    who = {"username": login.user, "password": login.password, "authSource": login.source} if login else {}
    return pymongo.MongoClient(
        f"mongodb://{quote(path, safe='')}/",
        directConnection=True,
        serverMonitoringMode="poll",
        serverSelectionTimeoutMS=CONNECT * 1000,
        connectTimeoutMS=CONNECT * 1000,
        socketTimeoutMS=ANSWER * 1000,
        maxPoolSize=1,
        retryReads=False,
        retryWrites=False,
        appname="edxconsole",
        # A date that Python can't hold must not spoil an answer.
        datetime_conversion="DATETIME_AUTO",
        unicode_decode_error_handler="replace",
        **who,
    )


def _drive(client: Any) -> Told:
    questions = interview()
    ask = next(questions)
    try:
        while True:
            ask = questions.send(_answer(client, ask))
    except StopIteration as end:
        told: Told = end.value
        return told


def _answer(client: Any, ask: Ask) -> Answer:
    errors: Any = importlib.import_module("pymongo.errors")
    try:
        found = client[ask.database].command(dict(ask.command))
    except errors.OperationFailure as error:
        if error.code == 18:
            raise PermissionMissing(NOT_ACCEPTED, remedy="see DOC_STORE_CONFIG there") from None
        return Refused(str((error.details or {}).get("errmsg") or type(error).__name__)[:200], error.code)
    return found if isinstance(found, dict) else Refused("an answer that is no document")


def _said(error: Exception) -> ServiceUnavailable | NotUnderstood:
    """The error of the library as ours. Its text may quote what was sent, so only its kind is told."""
    name = type(error).__name__
    if name in ("ServerSelectionTimeoutError", "AutoReconnect", "NetworkTimeout", "ConnectionFailure"):
        return ServiceUnavailable("MongoDB broke off or gave no answer in time")
    return NotUnderstood(f"what listens there answers, but not as MongoDB ({name})")
