"""What the console needs of a supervisord.conf: where it listens and with which credentials.

Credentials are read at the moment of use and never shown, logged or kept beyond a connection.
"""

from __future__ import annotations

import base64
import configparser
import posixpath
from dataclasses import dataclass, field

from edxconsole.numerals import natural
from edxconsole.transport.base import TcpEndpoint, UnixEndpoint


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password of one supervisord server section."""

    username: str
    password: str = field(repr=False)

    @property
    def hashed(self) -> bool:
        """Whether the file holds only a digest ({SHA}...), with which nobody can log in."""
        return self.password.startswith("{SHA}")

    @property
    def header(self) -> str:
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The two server sections. None: not configured (or not resolvable)."""

    unix: UnixEndpoint | None = None
    unix_auth: Credentials | None = None
    tcp: TcpEndpoint | None = None
    tcp_auth: Credentials | None = None


def parse(text: str, path: str) -> ServerConfig:
    """Read a supervisord.conf. `path` is its place on the host, for `%(here)s`.

    What can't be parsed counts as not configured: the console then tries what it was told.
    """
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",), allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        return ServerConfig()
    here = posixpath.dirname(path) or "/"

    def get(section: str, option: str) -> str:
        value = parser.get(section, option, fallback="") or ""
        return value.strip().replace("%(here)s", here)

    file, port = get("unix_http_server", "file"), get("inet_http_server", "port")
    return ServerConfig(
        unix=UnixEndpoint(file) if file.startswith("/") and "%(" not in file else None,
        unix_auth=_credentials(get("unix_http_server", "username"), get("unix_http_server", "password")),
        tcp=parse_tcp(port) if port else None,
        tcp_auth=_credentials(get("inet_http_server", "username"), get("inet_http_server", "password")),
    )


def _credentials(username: str, password: str) -> Credentials | None:
    return Credentials(username, password) if username else None


def parse_tcp(port: str) -> TcpEndpoint | None:
    """`9001`, `:9001`, `*:9001`, `127.0.0.1:9001` as supervisord reads them; None when it is not one."""
    host, _, text = port.rpartition(":")
    number = natural(text, 5)
    if number is None or not 0 < number < 65536:
        return None
    return TcpEndpoint("127.0.0.1" if host in ("", "*", "0.0.0.0") else host.strip("[]"), number)


def parse_endpoint(text: str, owner: str = "") -> TcpEndpoint | UnixEndpoint | None:
    """The probe's notation: `unix:/path` or `tcp:127.0.0.1:9001`."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return UnixEndpoint(rest, owner or None)
    return parse_tcp(rest) if kind == "tcp" else None
