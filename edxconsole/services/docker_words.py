"""What Docker's answers mean where they are not what was asked for. Pure: the words of one API."""

from __future__ import annotations

import json

from edxconsole.cluster.text import clean_line
from edxconsole.errors import PermissionMissing, ServiceFault, ServiceUnavailable, StreamRefused, UnitUnknown
from edxconsole.services.docker_units import as_map, text
from edxconsole.transport.base import UnixEndpoint


def decoded(body: bytes) -> object:
    """The JSON of an answer. Raises ServiceUnavailable."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise nonsense() from error
    return found


def nonsense() -> ServiceUnavailable:
    return ServiceUnavailable("an answer that its API does not give")


def fault(status: int | None, body: bytes, host: str) -> UnitUnknown | PermissionMissing | ServiceFault:
    """The error that a status of 400 and more means, in Docker's own words."""
    try:
        said = text(as_map(decoded(body)), "message")
    except ServiceUnavailable:
        said = ""
    cause = f"Docker says: {clean_line(said, 200) or f'HTTP status {status}'}"
    if status == 404:
        return UnitUnknown(cause, host=host)
    if status in (401, 403):
        return PermissionMissing(cause, host=host, remedy="see its authorization plugin")
    return ServiceFault(cause, code=status, host=host)


def refused(error: StreamRefused, host: str, user: str) -> PermissionMissing | ServiceUnavailable:
    """Why the socket can't be opened; where rights are missing, both ways to them."""
    if error.remedy is not None and "NOPASSWD" in error.remedy:
        remedy = f"usermod -aG docker {user} there (as good as root), or {error.remedy}"
        return PermissionMissing(error.cause, host=host, remedy=remedy)
    return ServiceUnavailable(f"Docker can't be reached: {error.cause}", host=host, remedy=error.remedy)


def silent(error: ServiceUnavailable, socket: UnixEndpoint, host: str) -> ServiceUnavailable:
    """It does not answer as it should, at this socket."""
    return ServiceUnavailable(
        f"Docker at {socket}: {error.cause}", host=host, remedy="see whether dockerd is stuck"
    )
