"""Asks a service on a host that answers JSON over HTTP: only GET, bounded, no redirect followed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from edxconsole.errors import NotUnderstood, PermissionMissing, ServiceFault
from edxconsole.transport.base import Endpoint, Transport

if TYPE_CHECKING:
    from edxconsole.services.host_http import HostHttp

TIMEOUT = 6.0
LIMIT = 4 << 20
"""bytes of an answer: a hundred indices take 50 KiB"""

Json = Mapping[str, object]


class WebApi:
    """One service. See web_api()."""

    def __init__(self, http: HostHttp, title: str) -> None:
        self._http = http
        self._title = title

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """The JSON object at a path.

        Raises StreamRefused, ServiceUnavailable, PermissionMissing where it wants a login or key,
        ServiceFault for another status, NotUnderstood, ConnectionLost.
        """
        answer = await self._http.ask("GET", path, params, timeout=TIMEOUT, limit=LIMIT)
        if answer.status in (401, 403):
            raise PermissionMissing(f"{self._title} answers {answer.status} to GET {path}")
        if 300 <= answer.status < 400:
            raise NotUnderstood(f"{self._title} sends GET {path} elsewhere, and that is not followed")
        if answer.status != 200:
            raise ServiceFault(f"{self._title} answers {answer.status} to GET {path}", code=answer.status)
        try:
            found: object = await asyncio.to_thread(json.loads, answer.body)
        except (ValueError, RecursionError):
            raise NotUnderstood(f"what {self._title} answers to GET {path} is no JSON") from None
        if not isinstance(found, dict):
            raise NotUnderstood(f"what {self._title} answers to GET {path} is not as it should be")
        return found


@contextlib.asynccontextmanager
async def web_api(
    transport: Transport, endpoint: Endpoint, title: str, *, headers: Mapping[str, str] | None = None
) -> AsyncIterator[WebApi]:
    """A WebApi for as long as the block lasts; `headers` go with every request."""
    module = await asyncio.to_thread(importlib.import_module, "edxconsole.services.host_http")
    http: HostHttp = module.HostHttp(transport, endpoint, connections=1, headers=headers)
    try:
        yield WebApi(http, title)
    finally:
        await http.close()


def at(told: object, *keys: str) -> object:
    """What stands below as many keys; None where nothing does."""
    for key in keys:
        told = told.get(key) if isinstance(told, Mapping) else None
    return told


def whole(value: object) -> int | None:
    """A whole number that JSON can hold."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62 else None


def words(value: object) -> str:
    return value[:300] if isinstance(value, str) else ""
