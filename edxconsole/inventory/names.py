"""What hosts, addresses, users and groups may be called.

These words end up in argument vectors of ssh and sudo, so a leading dash, blanks and shell or
ProxyCommand characters are refused (compare CVE-2023-51385).
"""

from __future__ import annotations

import re

from edxconsole.yamlwords import found

HOST_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$"
ADDRESS = r"^[A-Za-z0-9_:\[][A-Za-z0-9._:%\[\]-]{0,254}$"
USER_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._@\\+-]{0,63}$"
SITE_NAME = (
    r"^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){0,60}[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
)
PLAIN_PATH = r"^[~/.A-Za-z0-9_][^\n]{0,1023}$"
LONGEST_SITE = 253
"""characters of a DNS name"""
MAX_SITES = 8
"""sites that may be named: each is a handshake with every front of the cluster"""


def _check(pattern: str, what: str, value: str) -> str:
    if not re.fullmatch(pattern.strip("^$"), value):
        raise ValueError(f"found {found(value)}, expected {what}")
    return value


def check_host_name(value: str) -> str:
    """A host, group or alias name. Raises ValueError in words."""
    return _check(HOST_NAME, "a name of letters, digits, '.', '_' and '-' that doesn't begin with '-'", value)


def check_address(value: str) -> str:
    """A DNS name or IP address, without user and port. Raises ValueError in words."""
    if "@" in value:
        raise ValueError(f"found {found(value)}, expected an address; the user goes into user:")
    if value.count(":") == 1:
        raise ValueError(f"found {found(value)}, expected an address; the port goes into port:")
    return _check(ADDRESS, "a DNS name or an IP address", value)


def check_user(value: str) -> str:
    """A login name. Raises ValueError in words."""
    return _check(USER_NAME, "a login name", value)


def check_site(value: str) -> str:
    """A host name as browsers know a site by, which is what TLS can ask for. Raises ValueError in words."""
    what = "the host name of a site, such as courses.example.org, without https://, port, path or wildcard"
    if len(value) > LONGEST_SITE:
        raise ValueError(f"found {found(value)}, expected {what}")
    return _check(SITE_NAME, what, value)


def check_path(value: str) -> str:
    """A path, not beginning with '-'. Raises ValueError in words."""
    return _check(PLAIN_PATH, "a path", value)
