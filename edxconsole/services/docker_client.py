"""Docker's Engine API of one host: what is asked of it, each answer bounded and in its type.

Its socket is Docker's own, so only root and the group docker get in: the login user by itself where
it is in that group, else through `sudo` and a relay. Whoever gets in can do everything.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from edxconsole.cluster.text import clean_line
from edxconsole.errors import PermissionMissing, ServiceFault, ServiceUnavailable, StreamRefused, UnitUnknown
from edxconsole.services.docker_projects import Project, projects_of
from edxconsole.services.docker_units import (
    PROJECT,
    SERVICE,
    Container,
    Place,
    as_map,
    container_id,
    place_of,
    text,
    to_container,
)
from edxconsole.transport.base import Transport, UnixEndpoint

if TYPE_CHECKING:
    from edxconsole.services.host_http import Answer, HostHttp

SOCKET = UnixEndpoint("/var/run/docker.sock", "root")
TIMEOUT = 5.0
MAX_LIST = 2 * 1024 * 1024
MAX_ONE = 512 * 1024
MAX_CONTAINERS = 300
AT_ONCE = 3
"""containers inspected at the same time"""
MATTERS = (
    "create", "start", "die", "oom", "pause", "unpause", "rename", "update", "destroy", "health_status",
)  # fmt: skip
"""events after which a container is not what it was; the exec_* of health checks come all the time"""


class DockerClient:
    """Speaks to dockerd. Nothing is connected before the first call.

    Every call raises ServiceUnavailable, PermissionMissing when the socket may not be opened, and
    ConnectionLost.
    """

    def __init__(self, transport: Transport, socket: UnixEndpoint = SOCKET) -> None:
        self._transport = transport
        self._socket = socket
        self._http: HostHttp | None = None
        self.left_out = 0
        """containers beyond MAX_CONTAINERS as of the last list of all"""

    @property
    def route(self) -> str:
        """How it is spoken to, for the eye."""
        rung = self._http.rung if self._http else ""
        return f"{self._socket} ({rung})" if rung else str(self._socket)

    @property
    def relayed(self) -> bool:
        """Whether each of its streams takes one of the host's few sessions."""
        return self._http is not None and self._http.rung.endswith("relay")

    async def ping(self) -> None:
        """Whether it is there and answers."""
        answer = await self._ask("GET", "/_ping")
        if answer.body.strip() != b"OK":
            raise self._said(_nonsense())

    async def version(self) -> str:
        return clean_line(text(as_map(await self._get("/version")), "Version"), 40)

    async def containers(self, place: Place | None = None) -> tuple[Container, ...]:
        """Every container of every compose project, or those that claim one place."""
        ids = await self._ids(place)
        slots = asyncio.Semaphore(1 if self.relayed else AT_ONCE)

        async def one(ident: str) -> Container | None:
            async with slots:
                return await self.container(ident)

        found = await asyncio.gather(*(one(ident) for ident in ids))
        return tuple(c for c in found if c is not None and place in (None, c.place))

    async def projects(self) -> tuple[Project, ...]:
        """Every compose project that has a container, as its labels tell."""
        params = {"all": "1", "filters": json.dumps({"label": [PROJECT]})}
        told = await self._get("/containers/json", params, limit=MAX_LIST)
        if not isinstance(told, list):
            raise self._said(_nonsense())
        return projects_of(told)

    async def container(self, ident: str) -> Container | None:
        """One container; None when it is gone or not of a compose project."""
        try:
            return to_container(as_map(await self._get(f"/containers/{ident}/json")))
        except UnitUnknown:
            return None

    async def change(self, ident: str, what: str, grace: int | None, timeout: float) -> bool:
        """start, stop or restart; whether it was already so. Made once, never repeated.

        Docker goes on with it when nobody waits for its answer any more (20.10: measured; a restart
        on 24.0 before its fix of moby#46688 does not).

        Raises: ServiceFault with Docker's own words.
        """
        params = {"t": str(grace)} if grace is not None and what != "start" else None
        answer = await self._ask("POST", f"/containers/{ident}/{what}", params, timeout=timeout)
        return answer.status == 304

    async def events(self) -> AsyncGenerator[str | None]:
        """First None, when it listens; then the id of each container of a project that changed.

        Must be closed. Ends by an error only.
        """
        filters = json.dumps({"type": ["container"], "event": list(MATTERS), "label": [PROJECT]})
        http = await self._connected()
        try:
            async with aclosing(http.lines("/events", {"filters": filters}, timeout=TIMEOUT)) as lines:
                async for line in lines:
                    if line is None:
                        yield None
                    elif line.strip():
                        yield self._who(line)
        except StreamRefused as error:
            raise self._refused(error) from error
        except ServiceUnavailable as error:
            raise self._said(error) from error

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    @staticmethod
    def _who(line: bytes) -> str:
        event = as_map(_decoded(line))
        ident = container_id(as_map(event.get("Actor")).get("ID")) or container_id(event.get("id"))
        if ident is None:
            raise _nonsense()
        return ident

    async def _ids(self, place: Place | None) -> list[str]:
        labels = [PROJECT] if place is None else [f"{PROJECT}={place.project}", f"{SERVICE}={place.service}"]
        params = {"all": "1", "filters": json.dumps({"label": labels})}
        told = await self._get("/containers/json", params, limit=MAX_LIST)
        if not isinstance(told, list):
            raise self._said(_nonsense())
        listed = (as_map(entry) for entry in told)
        ids = [container_id(e.get("Id")) for e in listed if place_of(e.get("Labels")) is not None]
        known = [ident for ident in ids if ident is not None]
        if place is None:
            self.left_out = max(0, len(known) - MAX_CONTAINERS)
        return known[:MAX_CONTAINERS]

    async def _get(
        self, path: str, params: Mapping[str, str] | None = None, *, limit: int = MAX_ONE
    ) -> object:
        answer = await self._ask("GET", path, params, limit=limit)
        try:
            return _decoded(answer.body)
        except ServiceUnavailable as error:
            raise self._said(error) from error

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        limit: int = MAX_ONE,
    ) -> Answer:
        http = await self._connected()
        try:
            answer = await http.ask(method, path, params, timeout=timeout or TIMEOUT, limit=limit)
        except StreamRefused as error:
            raise self._refused(error) from error
        except ServiceUnavailable as error:
            raise self._said(error) from error
        if answer.status >= 400:
            raise self._fault(answer)
        return answer

    async def _connected(self) -> HostHttp:
        if self._http is None:
            module = await asyncio.to_thread(importlib.import_module, "edxconsole.services.host_http")
            made: HostHttp = module.HostHttp(self._transport, self._socket)
            # Somebody else may have been quicker while it was imported.
            self._http = self._http or made
        return self._http

    def _fault(self, answer: Answer) -> Exception:
        try:
            said = text(as_map(_decoded(answer.body)), "message")
        except ServiceUnavailable:
            said = ""
        cause = f"Docker says: {clean_line(said, 200) or f'HTTP status {answer.status}'}"
        host = self._transport.host_name
        if answer.status == 404:
            return UnitUnknown(cause, host=host)
        if answer.status in (401, 403):
            return PermissionMissing(cause, host=host, remedy="see its authorization plugin")
        return ServiceFault(cause, code=answer.status, host=host)

    def _refused(self, error: StreamRefused) -> PermissionMissing | ServiceUnavailable:
        """Why the socket can't be opened; where rights are missing, both ways to them."""
        host, user = self._transport.host_name, self._transport.info.user or "LOGIN"
        if error.remedy is not None and "NOPASSWD" in error.remedy:
            remedy = f"usermod -aG docker {user} there (as good as root), or {error.remedy}"
            return PermissionMissing(error.cause, host=host, remedy=remedy)
        return ServiceUnavailable(f"Docker can't be reached: {error.cause}", host=host, remedy=error.remedy)

    def _said(self, error: ServiceUnavailable) -> ServiceUnavailable:
        cause = f"Docker at {self._socket}: {error.cause}"
        return ServiceUnavailable(
            cause, host=self._transport.host_name, remedy="see whether dockerd is stuck"
        )


def _decoded(body: bytes) -> object:
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _nonsense() from error
    return decoded


def _nonsense() -> ServiceUnavailable:
    return ServiceUnavailable("an answer that its API does not give")
