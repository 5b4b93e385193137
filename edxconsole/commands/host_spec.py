"""A host as one names it on a command line: an alias of ~/.ssh/config, or [NAME=][USER@]ADDRESS[:PORT]."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edxconsole.commands.opening import Opened, open_cluster
from edxconsole.errors import UsageError
from edxconsole.inventory.names import check_address, check_host_name, check_user
from edxconsole.inventory.writer import render_hosts

_SPEC = re.compile(
    r"(?:(?P<name>[^=@:]+)=)?(?:(?P<user>[^@=]+)@)?(?P<address>\[[^\]]+\]|[^:@=]+)(?::(?P<port>\d{1,5}))?"
)


def parse_host(spec: str) -> tuple[str, dict[str, Any]]:
    """Its name, and what hosts.yaml says of it. Raises UsageError."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise UsageError(f"{spec!r} is no host", remedy="write [NAME=][USER@]ADDRESS[:PORT]")
    address = match["address"].strip("[]")
    name = match["name"] or address
    try:
        check_host_name(name)
        body: dict[str, Any] = {}
        if match["name"] or match["user"] or match["port"]:
            body["address"] = check_address(address) if address.count(":") < 2 else address
        if match["port"]:
            body["port"] = int(match["port"])
        if match["user"]:
            body["user"] = check_user(match["user"])
    except ValueError as error:
        raise UsageError(f"{spec!r}: {error}", remedy="write [NAME=][USER@]ADDRESS[:PORT]") from error
    return name, body


def open_hosts(specs: Sequence[str], *, sudo: bool = False) -> Opened:
    """These hosts without an inventory of theirs. Raises UsageError, InventoryError."""
    text = render_hosts(dict(parse_host(spec) for spec in specs), defaults={"become": "sudo"} if sudo else {})
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "hosts.yaml")
        path.write_text(text, encoding="utf-8")
        return open_cluster(path)
