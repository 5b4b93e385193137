"""The byte pipe under an SSH connection: a TCP socket, or a ProxyCommand's.

Both SSH libraries get a connected socket, so that "refused", "no route", "name unknown" and
"timed out" are told apart here, once, before SSH begins. A ProxyCommand runs under /bin/sh -c as
OpenSSH does it (asyncssh would start it without a shell), in a session of its own so that Ctrl-C
in the terminal does not reach it, and its last words are kept for the error message.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from dataclasses import dataclass, field

from edxconsole.errors import HostUnreachable
from edxconsole.transport.ending import end_process, finish, spawn
from edxconsole.transport.ssh_resolve import Target

USER_TIMEOUT_MS = 10_000


@dataclass(slots=True)
class Pipe:
    """A connected socket and, for a ProxyCommand, the process behind it."""

    sock: socket.socket
    process: asyncio.subprocess.Process | None = None
    said: bytearray = field(default_factory=bytearray)
    """the first bytes of the ProxyCommand's stderr"""
    _reading: asyncio.Task[None] | None = None

    async def greeting(self) -> bool:
        """Wait until the server has said something (True) or hung up (False). Takes nothing away."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        number = self.sock.fileno()
        loop.add_reader(number, _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(number)
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    async def last_words(self) -> str:
        """What the ProxyCommand wrote to stderr, when it has ended; "" for TCP."""
        if self._reading is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.shield(self._reading)
        lines = self.said.decode("utf-8", "replace").strip().splitlines()
        return "".join(c for c in (lines[-1] if lines else "") if c.isprintable())[:200]

    async def close(self) -> None:
        """Close the socket and end the process group. Idempotent."""
        with contextlib.suppress(OSError):
            self.sock.close()
        await finish(self._end())

    async def _end(self) -> None:
        if self.process is not None:
            await end_process(self.process)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def dial(target: Target) -> Pipe:
    """Connect to a target that has no jump host. Raises HostUnreachable."""
    if target.proxy_command is not None:
        return await _run_proxy(target, target.proxy_command)
    try:
        async with asyncio.timeout(target.connect_timeout):
            return Pipe(await _connect(target.address, target.port))
    except TimeoutError:
        raise HostUnreachable(
            f"no answer from {target.address} port {target.port} within {target.connect_timeout:g} s",
            host=target.name,
            remedy="see whether the host is up and a firewall lets you through",
        ) from None
    except socket.gaierror as error:
        raise HostUnreachable(
            f"the name {target.address} is not known ({error.strerror})",
            host=target.name,
            remedy="correct the address in hosts.yaml or ssh_config, or see to DNS",
        ) from None
    except OSError as error:
        raise unreachable(target, error) from None


def unreachable(target: Target, error: OSError) -> HostUnreachable:
    """One sentence for a connect() that failed."""
    place = f"{target.address} port {target.port}"
    if error.errno == errno.ECONNREFUSED:
        return HostUnreachable(
            f"{place} refused the connection", host=target.name, remedy="see whether sshd runs on that port"
        )
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN):
        return HostUnreachable(
            f"no route to {place}", host=target.name, remedy="see whether the host is up and the VPN is on"
        )
    return HostUnreachable(f"{place}: {error.strerror or error}", host=target.name)


async def _connect(address: str, port: int) -> socket.socket:
    """Try each address in turn."""
    loop = asyncio.get_running_loop()
    last: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for family, kind, proto, _, place in await loop.getaddrinfo(address, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, proto)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, place)
        except OSError as error:
            sock.close()
            last = error
            continue
        except BaseException:
            sock.close()
            raise
        tune(sock)
        return sock
    raise last


def tune(sock: socket.socket) -> None:
    """No Nagle (paramiko never says so: 48 ms per exec instead of 4); a dead path ends in 10 s."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, USER_TIMEOUT_MS)


async def _run_proxy(target: Target, command: str) -> Pipe:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        process = await spawn(
            "/bin/sh",
            "-c",
            command if command.startswith("exec ") else f"exec {command}",
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
        )
    except OSError as error:
        ours.close()
        raise HostUnreachable(f"its ProxyCommand can't be started: {error}", host=target.name) from None
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    pipe = Pipe(ours, process)
    pipe._reading = asyncio.create_task(_keep_first(process, pipe.said))
    return pipe


async def _keep_first(process: asyncio.subprocess.Process, said: bytearray) -> None:
    assert process.stderr is not None
    while data := await process.stderr.read(4096):
        said += data[: max(0, 2000 - len(said))]
