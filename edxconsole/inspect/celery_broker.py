"""Which broker the Celery workers of a component use, as the configuration of the host says it.

Read at the moment of use. A password is held for as long as the broker is asked, and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from edxconsole.errors import NotUnderstood
from edxconsole.numerals import natural
from edxconsole.transport.base import TcpEndpoint

REDIS, AMQP = "redis", "amqp"
PORTS = {REDIS: 6379, AMQP: 5672}
URL_KEYS = ("BROKER_URL", "CELERY_BROKER_URL")
_TRANSPORTS = {"redis": REDIS, "amqp": AMQP, "pyamqp": AMQP, "librabbitmq": AMQP}
_URL = re.compile(
    r"(?P<transport>[a-z]{1,20})://(?:(?P<user>[^\s:@/]{0,200})(?::(?P<password>[^\s@/]{0,500}))?@)?"
    r"(?P<place>[^\s@/?]{0,300})(?:/(?P<vhost>[^\s?]{0,200}))?(?:\?.{0,500})?"
)
_PLACE = re.compile(r"(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class BrokerPlace:
    """Where a broker is and how to log in there."""

    kind: str
    """redis or amqp"""
    host: str
    port: int
    vhost: str
    """the number of a database of Redis; "/" and the like for RabbitMQ"""
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def endpoint(self) -> TcpEndpoint:
        return TcpEndpoint(self.host, self.port)

    @property
    def login(self) -> str:
        """`user:password@` for a URL, "" where neither is set."""
        if not self.user and not self.password:
            return ""
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"

    def __str__(self) -> str:
        return f"{self.kind} at {self.host}:{self.port}, {'database' if self.kind == REDIS else 'vhost'} " + (
            self.vhost
        )


def broker_of(settings: Mapping[str, object]) -> BrokerPlace | None:
    """The broker of one application's settings; None where they name none.

    By a URL, or by edxapp's CELERY_BROKER_TRANSPORT, _HOSTNAME, _VHOST, _USER and _PASSWORD
    (lms/envs/production.py). Raises NotUnderstood; the text of a setting is never in it.
    """
    if _is_true(settings.get("CELERY_BROKER_USE_SSL")) or _is_true(settings.get("BROKER_USE_SSL")):
        raise NotUnderstood("its broker is spoken to by TLS, which is not asked from here")
    for key in URL_KEYS:
        found = settings.get(key)
        if isinstance(found, str) and found:
            return of_url(found)
    place = settings.get("CELERY_BROKER_HOSTNAME")
    if not isinstance(place, str) or not place:
        return None
    return _made(
        _text(settings, "CELERY_BROKER_TRANSPORT") or AMQP,
        _text(settings, "CELERY_BROKER_USER"),
        _text(settings, "CELERY_BROKER_PASSWORD"),
        place,
        _text(settings, "CELERY_BROKER_VHOST"),
    )


def of_url(url: str) -> BrokerPlace:
    """The first broker of a URL as kombu reads it. Raises NotUnderstood."""
    found = _URL.fullmatch(url.partition(";")[0])
    if found is None:
        raise NotUnderstood("the URL of its broker is not as Celery's are")
    user, password, vhost = (unquote(found[x] or "") for x in ("user", "password", "vhost"))
    return _made(found["transport"], user, password, found["place"], vhost)


def _made(transport: str, user: str, password: str, place: str, vhost: str) -> BrokerPlace:
    kind = _TRANSPORTS.get(transport)
    if kind is None:
        raise NotUnderstood("its broker is neither Redis nor RabbitMQ, or is spoken to by TLS")
    found = _PLACE.fullmatch(place.strip() or "localhost")
    port = int(found["port"] or PORTS[kind]) if found else 0
    if found is None or not 0 < port < 65536:
        raise NotUnderstood("the address of its broker is no host and port")
    if kind == REDIS:
        vhost = vhost.strip("/") or "0"
        if natural(vhost, 5) is None:
            raise NotUnderstood("the database of its broker is no number")
    return BrokerPlace(kind, found["host"].strip("[]"), port, vhost or "/", user, password)


def _text(settings: Mapping[str, object], key: str) -> str:
    found = settings.get(key)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _is_true(value: object) -> bool:
    return value is True or isinstance(value, Mapping) or str(value).lower() in ("true", "yes", "1")
