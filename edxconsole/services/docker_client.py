"""Docker's Engine API of one host: what is asked of it, each answer bounded and in its type.

Its socket is Docker's own, so only root and the group docker get in: the login user by itself where
it is in that group, else through `sudo` and a relay. Whoever gets in can do everything.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from edxconsole.cluster.text import clean_line
from edxconsole.errors import ServiceFault, ServiceUnavailable, StreamRefused, UnitUnknown
from edxconsole.services.docker_projects import Project, projects_of
from edxconsole.services.docker_stats import Usage, to_usage
from edxconsole.services.docker_streams import Frames
from edxconsole.services.docker_units import (
    PROJECT,
    SERVICE,
    Container,
    Place,
    as_map,
    container_id,
    number,
    place_of,
    text,
    to_container,
)
from edxconsole.services.docker_words import decoded, fault, nonsense, refused, silent
from edxconsole.transport.base import Transport, UnixEndpoint

if TYPE_CHECKING:
    from edxconsole.services.host_http import Answer, HostHttp

SOCKET = UnixEndpoint("/var/run/docker.sock", "root")
TIMEOUT = 5.0
MAX_LIST = 2 * 1024 * 1024
MAX_ONE = 512 * 1024
MAX_CONTAINERS = 300
MAX_PRINTED = 4096
"""bytes kept of the end of what a program in a container prints"""
PAUSES = (0.05, 0.2, 0.5, 1.0)
"""seconds until Docker has noted the end of a program whose output has ended"""
AT_ONCE = 3
"""containers inspected at the same time"""
MATTERS = (
    "create", "start", "die", "oom", "pause", "unpause", "rename", "update", "destroy", "health_status",
)  # fmt: skip
"""events after which a container is not what it was; the exec_* of health checks come all the time"""


class DockerClient:
    """Speaks to dockerd, on at most so many `connections`. Nothing is connected before the first call.

    Every call raises ServiceUnavailable, PermissionMissing when the socket may not be opened, and
    ConnectionLost.
    """

    def __init__(self, transport: Transport, socket: UnixEndpoint = SOCKET, *, connections: int = 4) -> None:
        self._transport = transport
        self._socket = socket
        self._connections = connections
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
            raise silent(nonsense(), self._socket, self._transport.host_name)

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
            raise silent(nonsense(), self._socket, self._transport.host_name)
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
        with self._told():
            async with aclosing(http.lines("/events", {"filters": filters}, timeout=TIMEOUT)) as lines:
                async for line in lines:
                    if line is None:
                        yield None
                    elif line.strip():
                        yield self._who(line)

    async def logs(
        self, ident: str, *, follow: bool, tail: int | None = None, since: int | None = None
    ) -> AsyncGenerator[bytes]:
        """The bytes of a container's log with times, for docker_streams.LogLines; first b"", when it begins.

        Must be closed. Ends with the container where it follows, else with the log.

        Args:
            tail: the last so many lines; None for all.
            since: only what is not older, nanoseconds since 1970.

        Raises: UnitUnknown; ServiceFault (501) when its logging driver can't be read.
        """
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
        params["tail"] = "all" if tail is None else str(tail)
        if since is not None:
            params["since"] = f"{since // 10**9}.{since % 10**9:09d}"
        async with aclosing(self._parts("GET", f"/containers/{ident}/logs", params)) as parts:
            async for part in parts:
                yield part

    async def execute(self, ident: str, argv: Sequence[str], timeout: float) -> tuple[int, str]:
        """Run a program in a container as its user, to its end: exit status and the end of what it printed.

        Made once, never repeated. Raises ServiceUnavailable when it does not end in time: it goes on then.
        """
        wish = {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": list(argv)}
        made = container_id(as_map(await self._get(f"/containers/{ident}/exec", body=wish)).get("Id"))
        if made is None:
            raise silent(nonsense(), self._socket, self._transport.host_name)
        try:
            async with asyncio.timeout(timeout):
                printed = await self._printed(f"/exec/{made}/start")
        except TimeoutError as error:
            raise ServiceUnavailable(
                f"it did not end within {timeout:g} s", host=self._transport.host_name
            ) from error
        for pause in (*PAUSES, None):
            ended = as_map(await self._get(f"/exec/{made}/json"))
            if ended.get("Running") is False and isinstance(ended.get("ExitCode"), int):
                return number(ended, "ExitCode"), printed
            if pause is not None:
                await asyncio.sleep(pause)
        raise ServiceUnavailable("its exit status is not known", host=self._transport.host_name)

    async def stats(self, ident: str) -> Usage:
        """What a container uses now: one answer, for which Docker measures a second or two."""
        params = {"stream": "false"}
        return to_usage(as_map(await self._get(f"/containers/{ident}/stats", params)))

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    @staticmethod
    def _who(line: bytes) -> str:
        event = as_map(decoded(line))
        ident = container_id(as_map(event.get("Actor")).get("ID")) or container_id(event.get("id"))
        if ident is None:
            raise nonsense()
        return ident

    async def _ids(self, place: Place | None) -> list[str]:
        labels = [PROJECT] if place is None else [f"{PROJECT}={place.project}", f"{SERVICE}={place.service}"]
        params = {"all": "1", "filters": json.dumps({"label": labels})}
        told = await self._get("/containers/json", params, limit=MAX_LIST)
        if not isinstance(told, list):
            raise silent(nonsense(), self._socket, self._transport.host_name)
        listed = (as_map(entry) for entry in told)
        ids = [container_id(e.get("Id")) for e in listed if place_of(e.get("Labels")) is not None]
        known = [ident for ident in ids if ident is not None]
        if place is None:
            self.left_out = max(0, len(known) - MAX_CONTAINERS)
        return known[:MAX_CONTAINERS]

    async def _printed(self, path: str) -> str:
        """The last of what a program prints, until it ends."""
        frames, end = Frames(), b""
        async with aclosing(self._parts("POST", path, body={"Detach": False, "Tty": False})) as parts:
            async for part in parts:
                for _, message in frames.feed(part):
                    end = (end + message)[-MAX_PRINTED:]
        return end.decode("utf-8", "replace")

    async def _parts(
        self, method: str, path: str, params: Mapping[str, str] | None = None, *, body: object = None
    ) -> AsyncGenerator[bytes]:
        http = await self._connected()
        with self._told():
            try:
                async with aclosing(http.parts(method, path, params, timeout=TIMEOUT, body=body)) as parts:
                    async for part in parts:
                        yield part
            except ServiceFault as error:
                raise fault(error.code, error.cause.encode(), self._transport.host_name) from error

    async def _get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        limit: int = MAX_ONE,
        body: object = None,
    ) -> object:
        """The JSON of an answer; a `body` makes it a POST."""
        method = "GET" if body is None else "POST"
        answer = await self._ask(method, path, params, limit=limit, body=body)
        with self._told():
            return decoded(answer.body)

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        limit: int = MAX_ONE,
        body: object = None,
    ) -> Answer:
        http = await self._connected()
        with self._told():
            answer = await http.ask(method, path, params, timeout=timeout or TIMEOUT, limit=limit, body=body)
        if answer.status >= 400:
            raise fault(answer.status, answer.body, self._transport.host_name)
        return answer

    async def _connected(self) -> HostHttp:
        if self._http is None:
            module = await asyncio.to_thread(importlib.import_module, "edxconsole.services.host_http")
            made: HostHttp = module.HostHttp(self._transport, self._socket, connections=self._connections)
            # Somebody else may have been quicker while it was imported.
            self._http = self._http or made
        return self._http

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the stream and of HTTP, told as Docker's."""
        host = self._transport.host_name
        try:
            yield
        except StreamRefused as error:
            raise refused(error, host, self._transport.info.user or "LOGIN") from error
        except ServiceUnavailable as error:
            raise silent(error, self._socket, host) from error
