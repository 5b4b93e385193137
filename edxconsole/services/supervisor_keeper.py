"""Keeps a restart from being left half done when the console dies between stop and start.

supervisord forgets the second call with its caller (services.md section 0.2: every client left
the program STOPPED). So before the stop a small program is started on the host. Two ways:

- held: it waits on its stdin. Told "done" it ends; when its stdin ends instead, because the
  console died, was cancelled or lost its connection, it lets go of SSH and starts the program once
  it has stopped;
- leased, where supervisord is spoken to through a relay, which takes the second of the two sessions
  that the console allows itself on a host: it works by itself from the beginning. It reaches
  supervisord by the very relay that we use, and starts the program when that was stopped for longer
  than a console needs to start it again.

Either acts only within the deadline that was confirmed, and says so in the host's syslog.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import Protocol
from urllib.parse import quote

from edxconsole.errors import TransportError
from edxconsole.services.base import Permit
from edxconsole.services.supervisor_client import Route, SupervisorClient
from edxconsole.services.supervisor_keeper_program import FIND_PYTHON, PROGRAM
from edxconsole.services.supervisor_program import STOPPED_STATES, Program
from edxconsole.transport.base import Process, TcpEndpoint, Transport, UnixEndpoint
from edxconsole.transport.relay import relay_argv

READY_WITHIN = 10.0
HELD = {"leased": False, "patience": 0.0, "untouched": 10.0}
LEASED = {"leased": True, "patience": 5.0, "untouched": 30.0}
"""patience: some round trips of a bad link; untouched: longer than an act waits for supervisord"""

_READY = re.compile(rb"^ready (\d+)$", re.MULTILINE)
_END_IT = 'tr "\\0" "\\n" <"/proc/$1/cmdline" 2>/dev/null | grep -qxF "$2" && kill "$1"'


class Keeper(Protocol):
    """A running keeper on the host. Exactly one of `dismiss` and `let_go` ends it."""

    async def dismiss(self) -> None:
        """The act came to an end that is known: nothing is left to do."""
        ...

    async def let_go(self) -> None:
        """The act is given up in the middle: the keeper finishes it."""
        ...


async def begin(
    transport: Transport, client: SupervisorClient, program: Program, deadline: float, *, permit: Permit
) -> Keeper | str:
    """Start a keeper for the restart that `permit` allows; the reason, in a clause, when it can't be."""
    route = client.route
    if route is None:
        return "there is no way to supervisord"
    relayed = route.rung.endswith("relay")
    job = _job(client, route, program, deadline, permit, relayed=relayed)
    if relayed:
        client.release()
        return await _leased(transport, client, job) or "no program to finish it could be started on the host"
    return await _held(transport, job) or "no program to finish it could be started on the host"


class _Held:
    """A keeper at the other end of a channel."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def dismiss(self) -> None:
        try:
            self._process.stdin.write(b"done\n")
            await self._process.stdin.drain()
        except (TransportError, OSError):
            return
        finally:
            await self._end()

    async def let_go(self) -> None:
        try:
            self._process.stdin.write_eof()
        except (TransportError, OSError):
            return
        finally:
            await self._end()

    async def _end(self) -> None:
        """Wait until the channel's own process has ended (a keeper on its own has forked by then)."""
        try:
            async with asyncio.timeout(READY_WITHIN):
                await self._process.wait()
        except (TimeoutError, TransportError):
            return
        finally:
            await self._process.close()


class _Leased:
    """A keeper that works by itself; `token` is a word of its command line that proves which it is."""

    def __init__(self, transport: Transport, client: SupervisorClient, pid: int, token: str) -> None:
        self._transport = transport
        self._client = client
        self._pid = pid
        self._token = token

    async def dismiss(self) -> None:
        """As the protocol says. Should it not be reached, it ends by itself at the sight of a new run."""
        self._client.release()
        try:
            await self._transport.run(
                ["sh", "-c", _END_IT, "edx-keeper-end", str(self._pid), self._token], timeout=READY_WITHIN
            )
        except TransportError:
            return

    async def let_go(self) -> None:
        return


async def _held(transport: Transport, job: bytes) -> Keeper | None:
    process: Process | None = None
    try:
        async with asyncio.timeout(READY_WITHIN):
            process = await transport.process(["sh", "-c", FIND_PYTHON, PROGRAM])
            process.stdin.write(job)
            await process.stdin.drain()
            if _READY.search(await process.stdout.read(4096)):
                return _Held(process)
    except (TransportError, OSError, TimeoutError):
        pass  # no keeper, which our caller tells
    if process is not None:
        await process.close()
    return None


async def _leased(transport: Transport, client: SupervisorClient, job: bytes) -> Keeper | None:
    token = f"keeper-{secrets.token_hex(8)}"
    try:
        result = await transport.run(
            ["sh", "-c", FIND_PYTHON, PROGRAM, token], stdin=job, timeout=READY_WITHIN
        )
    except TransportError:
        return None
    said = _READY.search(result.stdout)
    return _Leased(transport, client, int(said[1]), token) if said else None


def _job(
    client: SupervisorClient,
    route: Route,
    program: Program,
    deadline: float,
    permit: Permit,
    *,
    relayed: bool,
) -> bytes:
    endpoint, auth = route.endpoint, client.credentials
    tcp = endpoint if isinstance(endpoint, TcpEndpoint) else TcpEndpoint("localhost", 80)
    login = f"{quote(auth.username, safe='')}:{quote(auth.password, safe='')}@" if auth else ""
    owner = endpoint.owner if isinstance(endpoint, UnixEndpoint) and route.rung == "sudo-relay" else None
    job = {
        "unix": endpoint.path if isinstance(endpoint, UnixEndpoint) else "",
        "host": tcp.host,
        "port": tcp.port,
        "relay": relay_argv(endpoint, owner) if relayed else [],
        "url": f"http://{login}localhost/RPC2",
        "name": permit.unit,
        "pid": program.pid,
        "stopped": sorted(STOPPED_STATES),
        "deadline": deadline,
        **(LEASED if relayed else HELD),
    }
    return json.dumps(job).encode() + b"\n"
