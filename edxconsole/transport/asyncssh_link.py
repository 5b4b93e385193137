"""One authenticated asyncssh connection, to a host or a shared one to a jump host.

Learned (asyncssh 2.24, OpenSSH 9.2): `config=None` and explicit options only, because asyncssh
reads ssh_config its own way; `client_keys=None` with keys offered by callbacks; a host that
changed to another key type shows as a failed key exchange unless all key types are offered, so all
are, known types first; sshd leaves Nagle on until the first session starts (+40 ms per forwarded
reply), so a jump connection runs `true` once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh

from edxconsole.errors import HandshakeDropped, HostKeyChanged, HostUnreachable, TransportError
from edxconsole.transport.asyncssh_auth import Client, clean, trusted_keys
from edxconsole.transport.asyncssh_tunnel import Tunnel
from edxconsole.transport.base import ConnectionInfo
from edxconsole.transport.dial import Pipe, dial
from edxconsole.transport.ending import finish
from edxconsole.transport.host_key import check_host_key
from edxconsole.transport.known_hosts import Trust
from edxconsole.transport.login import LoginClock, greeted, open_patiently, shared_jump, silent
from edxconsole.transport.pool import ConnectionPool, Slot
from edxconsole.transport.ssh_resolve import Target

KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
)
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
    "chacha20-poly1305@openssh.com",
)
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
LEGACY_KEX = ("diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1")
LEGACY_CIPHERS = ("aes192-ctr", "aes256-cbc", "aes128-cbc", "3des-cbc")
LEGACY_MACS = ("hmac-sha1",)

logging.getLogger("asyncssh").setLevel(logging.ERROR)


@dataclass(slots=True)
class Link:
    """An open connection and what it stands on."""

    target: Target
    connection: asyncssh.SSHClientConnection
    client: Client
    pipe: Pipe | None
    jump: Link | None = None

    @property
    def alive(self) -> bool:
        return not self.client.lost.done()

    @property
    def lost(self) -> asyncio.Future[str]:
        return self.client.lost

    @property
    def info(self) -> ConnectionInfo:
        return ConnectionInfo(
            "asyncssh",
            address=f"{self.target.address}:{self.target.port}",
            user=self.target.user,
            server=clean(str(self.connection.get_extra_info("server_version", ""))),
            cipher=str(self.connection.get_extra_info("send_cipher", "")),
            via=self.via,
        )

    @property
    def via(self) -> tuple[str, ...]:
        return () if self.jump is None else (self.jump.target.name, *self.jump.via)

    async def close(self) -> None:
        """Say goodbye for a moment, then cut."""
        await finish(self._end())

    async def _end(self) -> None:
        """The socket is asyncio's until the connection has ended: closed sooner, its number could
        already belong to another host when asyncio stops to watch it."""
        try:
            self.connection.close()
            await self._ended()
        except (TimeoutError, asyncssh.Error, OSError):
            self.connection.abort()
            with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
                await self._ended()
        finally:
            if self.pipe is not None:
                await self.pipe.close()

    async def _ended(self) -> None:
        async with asyncio.timeout(1):
            await self.connection.wait_closed()


async def open_link(pool: ConnectionPool, target: Target, seen: tuple[str, ...] = ()) -> Link:
    """Connect, check the host key, log in; asks about an unknown key and connects again."""
    return await open_patiently(pool, target, lambda: _attempt(pool, target, seen))


async def _open_jump(pool: ConnectionPool, target: Target, seen: tuple[str, ...]) -> Link:
    """A jump host; its sshd has Nagle on until a session starts. One that permits none is slower."""
    link = await open_link(pool, target, seen)
    try:
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(5):
                await link.connection.run("exec true", encoding=None, stdin=asyncssh.DEVNULL)
    except BaseException:
        await link.close()
        raise
    return link


async def _attempt(pool: ConnectionPool, target: Target, seen: tuple[str, ...]) -> Link | None:
    """One connection; None when the operator has just accepted its key."""
    via = await shared_jump(pool, "asyncssh", target, seen, _open_jump)
    loop = asyncio.get_running_loop()
    trust = await loop.run_in_executor(
        None, pool.known_hosts.lookup, target.known_hosts, target.key_name, target.port
    )
    place = (target.address, target.port, target.jumps)
    async with pool.handshake(place) as slot:
        pipe = None if via is not None else await dial(target)
        login = _Login(pool, target, trust, slot, via, pipe)
        link = None
        try:
            if pipe is not None:
                await greeted(pool, target, pipe)
                await slot.take()
            link = await login.run()
        finally:
            if link is None and pipe is not None:
                await pipe.close()
    if link is None and login.untrusted is not None:
        await check_host_key(pool, target, trust, login.untrusted, authority=login.client.authority)
    return link


class _Login:
    """One attempt, with a clock that stands still while the operator is asked."""

    def __init__(
        self,
        pool: ConnectionPool,
        target: Target,
        trust: Trust,
        slot: Slot,
        via: Link | None,
        pipe: Pipe | None,
    ) -> None:
        self._pool = pool
        self._target = target
        self._trust = trust
        self._via = via
        self._pipe = pipe
        self._slot = slot
        self._clock = LoginClock(pool, target, slot)
        self.client = Client(pool, target, self._clock.ask)

    @property
    def untrusted(self) -> bytes | None:
        """The blob of the host key that was refused."""
        key = self.client.offered
        return None if key is None else key.public_data

    async def run(self) -> Link | None:
        try:
            async with self._clock.running():
                connection = await asyncssh.connect(
                    self._target.address,
                    self._target.port,
                    config=None,
                    options=self._options(),
                    tunnel=self._tunnel(),
                    sock=self._pipe.sock if self._pipe else None,
                )
        except TimeoutError:
            raise silent(self._target, self._pool.limits.login_timeout) from None
        except (asyncssh.Error, OSError) as error:
            if self.untrusted is not None:
                return None
            raise await self._translate(error) from None
        finally:
            await self.client.end_offers()
        return Link(self._target, connection, self.client, self._pipe, self._via)

    async def _take_turn(self) -> None:
        await self._slot.take()
        self._clock.restart()

    def _tunnel(self) -> Tunnel | None:
        if self._via is None:
            return None
        return Tunnel(self._pool, self._via.connection, self._via.target.name, self._target, self._take_turn)

    def _options(self) -> asyncssh.SSHClientConnectionOptions:
        legacy, limits = self._target.legacy_algorithms, self._pool.limits
        return asyncssh.SSHClientConnectionOptions(
            config=None,
            username=self._target.user,
            client_factory=lambda: self.client,
            client_keys=None,
            agent_path=None,
            known_hosts=tuple(
                trusted_keys(pins)
                for pins in (self._trust.keys, self._trust.authorities, self._trust.revoked)
            ),
            host_key_alias=self._target.host_key_alias,
            server_host_key_algs=host_key_algorithms(self._trust, legacy=legacy),
            kex_algs=[*KEX, *(LEGACY_KEX if legacy else ())],
            encryption_algs=[*CIPHERS, *(LEGACY_CIPHERS if legacy else ())],
            mac_algs=[*MACS, *(LEGACY_MACS if legacy else ())],
            compression_algs=None,
            x509_trusted_certs=None,
            gss_kex=False,
            gss_auth=False,
            agent_forwarding=False,
            x11_forwarding=False,
            disable_trivial_auth=True,
            connect_timeout=None,
            login_timeout=0,
            keepalive_interval=limits.keepalive_interval,
            keepalive_count_max=limits.keepalive_count,
            rekey_seconds=random.uniform(3600, 7200),
        )

    async def _translate(self, error: Exception) -> TransportError:
        """asyncssh's error as ours: the host, the cause, the remedy."""
        name, place = self._target.name, f"{self._target.address} port {self._target.port}"
        text = clean(str(error))
        if isinstance(error, asyncssh.ChannelOpenError) and self._via is not None:
            return HostUnreachable(
                f"the jump host {self._via.target.name} can't reach {place} ({text})",
                host=name,
                remedy="see whether sshd runs there and the jump host's AllowTcpForwarding permits it",
            )
        if isinstance(error, asyncssh.PermissionDenied) or "Too many authentication failures" in text:
            return self._clock.denied(text)
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return HostKeyChanged(f"its host key can't be trusted ({text})", host=name)
        if isinstance(error, asyncssh.KeyExchangeFailed):
            return TransportError(
                f"no common algorithm with its sshd ({text})",
                host=name,
                remedy="upgrade that sshd, or set legacy_algorithms: true for this host",
            )
        if isinstance(error, asyncssh.ConnectionLost | OSError):
            words = await self._pipe.last_words() if self._pipe is not None else ""
            if words:
                return HostUnreachable(f"its ProxyCommand ended: {words}", host=name)
            return HandshakeDropped(
                f"{place} hung up before login",
                host=name,
                remedy="its sshd may be busy (MaxStartups) or block this address; try again",
            )
        return TransportError(f"SSH failed at {place} ({text})", host=name)


def host_key_algorithms(trust: Trust, *, legacy: bool) -> list[str]:
    """Known types first; all others after, so that a changed type is seen as a changed key."""
    kinds = {k.kind for k in trust.keys}
    known: Sequence[str] = [
        a for a in HOST_KEYS if a in kinds or (a.startswith("rsa-") and "ssh-rsa" in kinds)
    ]
    certificates = [f"{a}-cert-v01@openssh.com" for a in HOST_KEYS[:6]] if trust.authorities else []
    old = ["ssh-rsa"] if legacy else []
    return [*certificates, *known, *(a for a in HOST_KEYS if a not in known), *old]
