"""What every way of reaching a host gives, and nothing more.

Three implementations (asyncssh, paramiko, local) pass one conformance suite,
`tests/hosts/test_transport_conformance.py`. All byte streams are bytes, never text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class TcpEndpoint:
    """A TCP port as seen from the host, e.g. 127.0.0.1:9001."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    """A UNIX socket on the host. `owner` is the user whose rights a sudo relay would need."""

    path: str
    owner: str | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}"


Endpoint = TcpEndpoint | UnixEndpoint


@dataclass(frozen=True, slots=True)
class Result:
    """A finished command. `exit_status` is None when it was killed by `signal`."""

    argv: tuple[str, ...]
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    signal: str | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.exit_status == 0

    @property
    def text(self) -> str:
        """stdout as text, with undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")


class ByteReader(Protocol):
    """The reading half of a stream."""

    async def read(self, n: int = -1) -> bytes:
        """Up to n bytes (all until EOF when n is -1); b"" at EOF. Raises ConnectionLost."""
        ...


class ByteWriter(Protocol):
    """The writing half of a stream."""

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...
    async def wait_closed(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stream:
    """An open byte stream to an endpoint on the host, and how it got there.

    `rung` is the rung of the ladder that worked: "direct-tcpip", "direct-streamlocal",
    "relay" (one exec channel as the login user) or "sudo-relay"; "local" for LocalTransport.
    """

    reader: ByteReader
    writer: ByteWriter
    rung: str


class Process(Protocol):
    """A running command on the host."""

    @property
    def stdin(self) -> ByteWriter: ...
    @property
    def stdout(self) -> ByteReader: ...
    @property
    def stderr(self) -> ByteReader: ...
    async def wait(self) -> int | None:
        """Exit status, None when killed by a signal or when the connection was lost."""
        ...

    def kill(self) -> None: ...
    async def close(self) -> None:
        """End the channel and release it, whatever the state of the command. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What is worth showing of an open connection."""

    kind: str
    """asyncssh, paramiko or local"""
    address: str = ""
    user: str = ""
    server: str = ""
    """the SSH server's version string"""
    cipher: str = ""
    via: tuple[str, ...] = field(default_factory=tuple)
    """jump hosts, nearest first"""


@runtime_checkable
class Transport(Protocol):
    """A host that can be reached. One connection; never more than 2 sessions by itself.

    `become` is the user a command shall run as through `sudo -n -u USER --`; None is the
    login user. A refusal by sudo raises PermissionMissing's transport cousin, CommandFailed,
    whose remedy is the missing sudoers rule.
    """

    @property
    def host_name(self) -> str:
        """The inventory name."""
        ...

    @property
    def connected(self) -> bool: ...
    @property
    def info(self) -> ConnectionInfo: ...

    async def connect(self) -> None:
        """Connect and authenticate. Raises the TransportError that says what failed."""
        ...

    async def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        become: str | None = None,
        max_output: int = 1 << 20,
    ) -> Result:
        """Run to completion. Raises CommandTimedOut (and kills it), CommandFailed, ConnectionLost.

        Output beyond max_output bytes per stream is cut (the command is killed then).
        """
        ...

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> Process:
        """Start a command whose streams stay open."""
        ...

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        """Climb the ladder and remember the rung. Raises StreamRefused saying what is missing."""
        ...

    async def wait_lost(self) -> str:
        """Return, when the connection ended for whatever reason, that reason in one clause."""
        ...

    async def close(self) -> None:
        """Close everything; idempotent; never raises."""
        ...


class Prompter(Protocol):
    """How a transport asks the operator, before the screen opens or in a modal.

    None means the operator declined. Implementations never log or keep the answers.
    """

    async def secret(self, host: str, prompt: str) -> str | None:
        """A password, key passphrase or keyboard-interactive answer."""
        ...

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        """Whether an unknown host key shall be pinned (written to our known_hosts)."""
        ...


class SilentPrompter:
    """Declines everything: for commands that are not on a terminal."""

    async def secret(self, host: str, prompt: str) -> str | None:
        return None

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        return False
