"""When is the demo live: every supervisor program RUNNING, /heartbeat 200 everywhere, SSH answering."""

from __future__ import annotations

import http.client
import socket
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edxconsole.demo.approle import programs_of
from edxconsole.errors import DemoError

SUPERVISOR_SOCKET = "/edx/var/supervisor/supervisor.sock"
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Reach:
    """How the launcher reaches the hosts: addresses, ports, and each host's root directory as it sees it."""

    addresses: Mapping[str, str]
    roots: Mapping[str, Path]
    ssh_port: int = 22
    lms_site: int = 80


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("supervisor", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(2)
        self.sock.connect(self._path)


def program_states(root: Path) -> dict[str, str]:
    """supervisord's programs by full name -> state name. Raises `OSError`."""
    connection = _UnixConnection(str(root) + SUPERVISOR_SOCKET)
    body = xmlrpc.client.dumps((), "supervisor.getAllProcessInfo")
    try:
        connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
        answer, _ = xmlrpc.client.loads(connection.getresponse().read())
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    rows: list[dict[str, str]] = answer[0]  # type: ignore[assignment]
    return {_full(row["group"], row["name"]): row["statename"] for row in rows}


def _full(group: str, name: str) -> str:
    return name if group == name else f"{group}:{name}"


def _get(address: str, port: int, path: str = "/heartbeat") -> str | None:
    connection = http.client.HTTPConnection(address, port, timeout=3)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
        return None if status == 200 else f"answers {status}"
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()


def _greets(address: str, port: int) -> str | None:
    try:
        with socket.create_connection((address, port), 2) as stream:
            stream.settimeout(2)
            return None if stream.recv(4) == b"SSH-" else "no SSH greeting"
    except OSError as error:
        return str(error)


def _running(host: str, root: Path) -> str | None:
    try:
        states = program_states(root)
    except OSError as error:
        return f"supervisord: {error}"
    waiting = [name for name in programs_of(host) if states.get(name) != "RUNNING"]
    return f"{waiting[0]} is {states.get(waiting[0], 'unknown')}" if waiting else None


def _checks(reach: Reach) -> Iterator[tuple[str, Callable[[], str | None]]]:
    for name, address in reach.addresses.items():
        yield f"{name}: SSH", partial(_greets, address, reach.ssh_port)
    for name in ("app1", "app2"):
        address, root = reach.addresses[name], reach.roots[name]
        yield f"{name}: LMS", partial(_get, address, 8000)
        yield f"{name}: Studio", partial(_get, address, 8010)
        yield f"{name}: programs", partial(_running, name, root)
    yield "web: nginx", partial(_get, reach.addresses["web"], reach.lms_site)


def wait_live(reach: Reach, timeout: float, alive: Callable[[], str | None]) -> None:
    """Wait until the whole demo is live.

    Args:
        alive: called each round; returns the name of a host that has ended, if one has.

    Raises `DemoError` naming the first thing that is not there after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    waiting = dict(_checks(reach))
    while waiting:
        for what, check in list(waiting.items()):
            trouble = check()
            if trouble is None:
                del waiting[what]
            elif time.monotonic() > deadline:
                raise DemoError(f"the demo cluster is not live after {timeout:.0f} s: {what}: {trouble}")
            else:
                break
        if dead := alive():
            raise DemoError("the host ended while the demo started", host=dead)
        if waiting:
            time.sleep(_PAUSE)
