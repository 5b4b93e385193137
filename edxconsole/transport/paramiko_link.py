"""One authenticated paramiko connection, to a host or a shared one to a jump host.

Learned (paramiko 5.1): a raw `Transport` checks no host key by itself, so it is compared here,
before anything is sent; `set_keepalive` never notices a dead host, so a request that wants an
answer is sent when nothing came for a while; sockets need TCP_NODELAY from us (`dial.tune`);
cancelling a wait leaves its thread running until the connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import paramiko

from edxconsole.errors import HandshakeDropped, HostUnreachable, TransportError
from edxconsole.transport.base import ConnectionInfo
from edxconsole.transport.dial import Pipe, dial
from edxconsole.transport.ending import finish
from edxconsole.transport.host_key import check_host_key
from edxconsole.transport.known_hosts import Trust
from edxconsole.transport.login import LoginClock, greeted, open_patiently, shared_jump, silent
from edxconsole.transport.paramiko_auth import authenticate
from edxconsole.transport.paramiko_channel import Channel
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.ssh_resolve import Target

R = TypeVar("R")
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
DEFAULT_HOST_KEYS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")

logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class Heard:
    """A socket that remembers when it last heard anything."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.last = time.monotonic()

    def recv(self, n: int) -> bytes:
        data: bytes = self._sock.recv(n)
        self.last = time.monotonic()
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Transport(paramiko.Transport):
    """paramiko's connection thread; tells when it ends, and how commands ended."""

    def __init__(self, sock: Any, on_end: Callable[[str], None]) -> None:
        self.heard = Heard(sock)
        super().__init__(cast(Any, self.heard))
        self.daemon = True
        self._on_end = on_end
        self.watched: dict[int, Channel] = {}
        """our channels by number"""

    def run(self) -> None:
        try:
            super().run()
        finally:
            # Its timer for the key exchange is a thread that outlives it by 15 s, and holds up our exit.
            self.packetizer.complete_handshake()
            self._on_end(_ended(self.get_exception()))

    def channel_request(self, chan: paramiko.Channel, message: paramiko.Message) -> None:
        """An exit-status or exit-signal request, seen before paramiko drops the signal's name."""
        copy = paramiko.Message(message.asbytes())
        copy.get_int()
        kind, _ = copy.get_text(), copy.get_boolean()
        ours = self.watched.get(chan.get_id())
        if ours is not None and kind == "exit-status":
            ours.exit_status(copy.get_int(), None)
        elif ours is not None and kind == "exit-signal":
            ours.exit_status(None, copy.get_text())
        chan._handle_request(message)  # type: ignore[attr-defined]

    def channel_close(self, chan: paramiko.Channel, message: paramiko.Message) -> None:
        """The host closes a channel; paramiko answers, and no request of ours may follow that.

        sshd ends the whole connection when one does. The wait is bounded because a sender may
        itself wait for this thread, while keys are exchanged again.
        """
        ours = self.watched.get(chan.get_id())
        held = ours is not None and ours.order.acquire(timeout=1)
        try:
            chan._handle_close(message)  # type: ignore[attr-defined]
        finally:
            if held and ours is not None:
                ours.order.release()

    _channel_handler_table = {  # noqa: RUF012 - paramiko's own class attribute
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        97: lambda chan, m: chan.get_transport().channel_close(chan, m),
        98: lambda chan, m: chan.get_transport().channel_request(chan, m),
    }


def _ended(error: BaseException | None) -> str:
    if error is None or isinstance(error, EOFError):
        return "the host closed the connection"
    return f"the connection broke ({''.join(c for c in str(error) if c.isprintable())[:200]})"


@dataclass(slots=True)
class Link:
    """An open connection and what it stands on."""

    target: Target
    transport: Transport
    lost: asyncio.Future[str]
    pipe: Pipe | None
    jump: Link | None = None
    _watch: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return not self.lost.done()

    @property
    def info(self) -> ConnectionInfo:
        return ConnectionInfo(
            "paramiko",
            address=f"{self.target.address}:{self.target.port}",
            user=self.target.user,
            server=str(self.transport.remote_version),
            cipher=str(self.transport.local_cipher),
            via=self.via,
        )

    @property
    def via(self) -> tuple[str, ...]:
        return () if self.jump is None else (self.jump.target.name, *self.jump.via)

    def start_watch(self, interval: float, count: int) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._keep(interval, count))

    async def _keep(self, interval: float, count: int) -> None:
        """Ask for an answer after a silence; end the connection when none comes."""
        while self.alive:
            silent = time.monotonic() - self.transport.heard.last
            await asyncio.sleep(max(0.05, interval - silent))
            if time.monotonic() - self.transport.heard.last < interval:
                continue
            asked = asyncio.get_running_loop().run_in_executor(
                None, self.transport.global_request, "keepalive@openssh.com"
            )
            done, _ = await asyncio.wait((asked,), timeout=interval * count)
            if not done:
                self.set_lost("the host went silent: no answer to keepalives")
                self.transport.close()
                return

    def set_lost(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self.set_lost("the connection was closed")
        await finish(self._end())

    def _cut(self) -> None:
        """Also one whose thread has not begun: paramiko's close does nothing then."""
        self.transport.close()
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            self.transport.heard.close()

    async def _end(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await in_thread(self._cut)
        if self.pipe is not None:
            await self.pipe.close()
        if self._watch is not None:
            await asyncio.gather(self._watch, return_exceptions=True)


async def in_thread(call: Callable[..., R], *args: object) -> R:
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)


async def open_link(pool: ConnectionPool, target: Target, seen: tuple[str, ...] = ()) -> Link:
    """Connect, check the host key, log in; asks about an unknown key and connects again."""
    return await open_patiently(pool, target, lambda: _attempt(pool, target, seen))


async def _open_jump(pool: ConnectionPool, target: Target, seen: tuple[str, ...]) -> Link:
    """A jump host; its sshd has Nagle on until a session starts. One that permits none is slower."""
    link = await open_link(pool, target, seen)

    def first_session() -> None:
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            chan = link.transport.open_session(timeout=5)
            chan.settimeout(5)
            chan.exec_command("exec true")
            chan.recv(1)
            chan.close()

    try:
        await in_thread(first_session)
    except BaseException:
        await link.close()
        raise
    return link


async def _attempt(pool: ConnectionPool, target: Target, seen: tuple[str, ...]) -> Link | None:
    """One connection; None when the operator has just accepted its key."""
    via = await shared_jump(pool, "paramiko", target, seen, _open_jump)
    trust = await in_thread(pool.known_hosts.lookup, target.known_hosts, target.key_name, target.port)
    place = (target.address, target.port, target.jumps)
    async with pool.handshake(place) as slot:
        pipe = None if via is not None else await dial(target)
        link = None
        try:
            sock = await _through(via, target) if pipe is None else pipe.sock
            if pipe is not None:
                await greeted(pool, target, pipe)
            await slot.take()
            link = await _start(target, trust, sock, pipe, pool.limits.login_timeout)
            link.jump = via
            blob = link.transport.get_remote_server_key().asbytes()
            trusted = {k.blob for k in trust.keys} - {k.blob for k in trust.revoked}
            if blob in trusted:
                await _log_in(pool, target, link, LoginClock(pool, target, slot))
                link.start_watch(pool.limits.keepalive_interval, pool.limits.keepalive_count)
                return link
        except BaseException:
            await _drop(link, pipe)
            raise
    await _drop(link, pipe)
    await check_host_key(pool, target, trust, blob)
    return None


async def _drop(link: Link | None, pipe: Pipe | None) -> None:
    if link is not None:
        await link.close()
    elif pipe is not None:
        await pipe.close()


async def _through(via: Link | None, target: Target) -> paramiko.Channel:
    """A channel of the jump host to the target's sshd."""
    assert via is not None

    def forward() -> paramiko.Channel:
        place = (target.address, target.port)
        return via.transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=15)

    opening = asyncio.get_running_loop().run_in_executor(None, forward)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(close_late)
        raise
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise HostUnreachable(
            f"the jump host {via.target.name} can't reach {target.address} port {target.port} ({error})",
            host=target.name,
            remedy="see whether sshd runs there and the jump host's AllowTcpForwarding permits it",
        ) from None


def close_late(opening: asyncio.Future[paramiko.Channel]) -> None:
    """Close a channel that opened when nobody wanted it any more."""
    with contextlib.suppress(Exception):
        chan = opening.result()
        asyncio.get_running_loop().run_in_executor(None, chan.close)


async def opens(jump: Link, target: Target) -> bool:
    """Whether a jump host reaches a target within 2 s. It holds a thread that long."""

    def attempt() -> bool:
        place = (target.address, target.port)
        try:
            jump.transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=2).close()
        except (paramiko.SSHException, OSError, EOFError):
            return False
        return True

    return await in_thread(attempt)


async def _start(target: Target, trust: Trust, sock: Any, pipe: Pipe | None, limit: float) -> Link:
    """Key exchange within `limit` seconds. Raises HandshakeDropped, TransportError."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[str] = loop.create_future()

    def settle(reason: str) -> None:
        if not lost.done():
            lost.set_result(reason)

    def ended(reason: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, reason)

    transport = Transport(sock, ended)
    link = Link(target, transport, lost, pipe)
    transport.auth_timeout = 120
    options = transport.get_security_options()
    options.ciphers = [c for c in CIPHERS if c in options.ciphers]
    options.key_types = _host_keys(trust, options.key_types)
    try:
        await in_thread(transport.start_client, None, limit)
    except paramiko.ssh_exception.IncompatiblePeer as error:
        await link.close()
        raise TransportError(
            f"no common algorithm with its sshd ({error})",
            host=target.name,
            remedy="upgrade that sshd, or use transport: asyncssh with legacy_algorithms: true",
        ) from None
    except (paramiko.SSHException, OSError, EOFError):
        words = await pipe.last_words() if pipe is not None else ""
        await link.close()
        if words:
            raise HostUnreachable(f"its ProxyCommand ended: {words}", host=target.name) from None
        raise HandshakeDropped(
            f"{target.address} port {target.port} hung up before login",
            host=target.name,
            remedy="its sshd may be busy (MaxStartups) or block this address; try again",
        ) from None
    except BaseException:
        await link.close()
        raise
    if not transport.initial_kex_done:  # start_client returns in silence when its time is over
        await link.close()
        raise silent(target, limit)
    return link


def _host_keys(trust: Trust, offered: Sequence[str]) -> list[str]:
    """Known types first; all others after, so that a changed type is seen as a changed key."""
    kinds = {k.kind for k in trust.keys}
    known = [a for a in offered if a in kinds or (a.startswith("rsa-") and "ssh-rsa" in kinds)]
    return [*known, *(a for a in DEFAULT_HOST_KEYS if a in offered and a not in known)]


async def _log_in(pool: ConnectionPool, target: Target, link: Link, clock: LoginClock) -> None:
    try:
        async with clock.running():
            await authenticate(pool, target, link.transport, clock)
    except TimeoutError:
        raise silent(target, pool.limits.login_timeout) from None
