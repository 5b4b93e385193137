"""How the asyncssh client proves who the host is and who we are.

asyncssh's own key handling is not used: it decrypts keys again for each host, stops at a missing
IdentityFile and offers every agent key first (8 wrong ones and sshd hangs up, MaxAuthTries 6).
Keys are offered in the order agent keys named by IdentityFile, plain key files, other agent keys,
and only then encrypted files, whose passphrase is asked once for the whole cluster.
`validate_host_public_key` can't wait for an operator, so it notes the key and refuses; trust is a
second connection (`asyncssh_link`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import asyncssh

from edxconsole.transport.known_hosts import PinnedKey
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.ssh_resolve import Target

T = TypeVar("T")
Ask = Callable[[str], Awaitable[str | None]]
Offer = asyncssh.SSHKey | asyncssh.SSHKeyPair | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]

_PASSWORD = re.compile(r"pass\s?(word|code|phrase)", re.IGNORECASE)


class Client(asyncssh.SSHClient):
    """Callbacks of one connection attempt.

    Args:
        ask: asks the operator with the login's clock and handshake slot on hold.
    """

    def __init__(self, pool: ConnectionPool, target: Target, ask: Ask) -> None:
        self.offered: asyncssh.SSHKey | None = None
        """the host key that was not trusted"""
        self.authority = False
        """it was a certificate by an unknown authority"""
        self.authenticated = False
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._pool = pool
        self._target = target
        self._ask = ask
        self._offers = _offers(pool, target, ask)
        self._password_tried = False
        self._kbdint_tried = False
        self._secret: str | None = None

    @property
    def _secret_name(self) -> tuple[str, str, str, int]:
        return ("password", self._target.user, self._target.address, self._target.port)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        self.authority = True
        return False

    def auth_completed(self) -> None:
        self.authenticated = True
        if self._secret is not None:
            self._pool.secrets[self._secret_name] = self._secret

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(lost_reason(exc))

    async def public_key_auth_requested(self) -> list[Offer] | None:
        async for offer in self._offers:
            return offer
        return None

    async def end_offers(self) -> None:
        """Close the agent. A login that is being cancelled may still wait for it, and closes it then."""
        with contextlib.suppress(RuntimeError):
            await self._offers.aclose()

    async def password_auth_requested(self) -> str | None:
        if self._password_tried or self._kbdint_tried:
            return None
        self._password_tried = True
        return await self._password(f"password of {self._target.user}@{self._target.address}")

    def kbdint_auth_requested(self) -> str | None:
        if self._kbdint_tried:
            return None
        self._kbdint_tried = True
        return ""

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        answers = []
        for prompt, echo in prompts:
            if not echo and len(prompts) == 1 and _PASSWORD.search(prompt) and not self._password_tried:
                self._password_tried = True
                answer = await self._password(clean(prompt) or "password")
            else:
                text = " ".join(x for x in (clean(instructions), clean(prompt)) if x)
                answer = await self._ask(text)
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def _password(self, prompt: str) -> str | None:
        """One that worked before, or the operator's; kept only if it works."""
        known = self._pool.secrets.pop(self._secret_name, None)
        self._secret = known if known is not None else await self._ask(prompt)
        return self._secret


def clean(text: str) -> str:
    """A server's words made safe for a terminal and short."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:300]


def lost_reason(exc: BaseException | None) -> str:
    """Why an open connection ended, in one clause."""
    text = clean(str(exc)) if exc is not None else ""
    if exc is None:
        return "the connection was closed"
    if "keepalive" in text:
        return "the host went silent: no answer to keepalives"
    if isinstance(exc, asyncssh.ConnectionLost) and text in ("", "Connection lost"):
        return "the host closed the connection"
    return f"the connection broke ({text or type(exc).__name__})"


def trusted_keys(pins: Sequence[PinnedKey]) -> list[asyncssh.SSHKey]:
    """asyncssh's form of pinned keys; key types it does not know are left out."""
    keys = []
    for pin in pins:
        try:
            keys.append(asyncssh.import_public_key(pin.line))
        except asyncssh.KeyImportError:
            continue
    return keys


async def _offers(pool: ConnectionPool, target: Target, ask: Ask) -> AsyncGenerator[list[Offer], None]:
    """Lists of keys, in the order to try them; the next is made only when these failed."""
    public = {p: await _cached(pool, "public", p, _read_public) for p in target.identity_files}
    named = {key.public_data for key in public.values() if key is not None}
    agent = await _agent(target.agent)
    held = list(await _agent_keys(agent))
    try:
        certificates = await _certificates(pool, target)
        first: list[Offer] = [k for k in held if k.public_data in named]
        in_agent = {k.public_data for k in held}
        for path in target.identity_files:
            key = await _cached(pool, "private", path, _read_private)
            if key is not None and key.public_data not in in_agent:
                first += [*_with_certificates(key, certificates), key]
        if first:
            yield first
        rest: list[Offer] = [k for k in held if k.public_data not in named]
        if rest and not target.identities_only:
            yield rest
        for path in target.identity_files:
            known = public[path]
            if known is not None and known.public_data in in_agent:
                continue
            if await _cached(pool, "private", path, _read_private) is None:
                key = await _decrypted(pool, path, ask)
                if key is not None:
                    yield [*_with_certificates(key, certificates), key]
    finally:
        if agent is not None:
            agent.close()


def _with_certificates(key: asyncssh.SSHKey, certificates: list[asyncssh.SSHCertificate]) -> list[Offer]:
    return [(key, c) for c in certificates if c.key.public_data == key.public_data]


async def _agent(path: str | None) -> asyncssh.SSHAgentClient | None:
    if path is None:
        return None
    try:
        return await asyncssh.connect_agent(path)
    except OSError:
        return None


async def _agent_keys(agent: asyncssh.SSHAgentClient | None) -> Sequence[asyncssh.SSHKeyPair]:
    if agent is None:
        return ()
    try:
        return await agent.get_keys()
    except (ValueError, OSError):
        return ()


async def _certificates(pool: ConnectionPool, target: Target) -> list[asyncssh.SSHCertificate]:
    paths = [*target.certificate_files, *(Path(f"{p}-cert.pub") for p in target.identity_files)]
    found = [await _cached(pool, "certificate", p, _read_certificate) for p in paths]
    return [c for c in found if c is not None]


async def _cached(pool: ConnectionPool, kind: str, path: Path, read: Callable[[Path], T]) -> T:
    """Read once per engine, in a thread."""
    async with pool.lock((kind, path)):
        if (kind, path) not in pool.keys:
            pool.keys[kind, path] = await asyncio.get_running_loop().run_in_executor(None, read, path)
        value: T = pool.keys[kind, path]
        return value


def _read_certificate(path: Path) -> asyncssh.SSHCertificate | None:
    try:
        return asyncssh.read_certificate(path)
    except (OSError, asyncssh.KeyImportError):
        return None


def _read_private(path: Path) -> asyncssh.SSHKey | None:
    """None when there is none, or it is encrypted."""
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        return None


def _read_public(path: Path) -> asyncssh.SSHKey | None:
    """From the private file's clear header (OpenSSH format), else from the .pub beside it."""
    try:
        body = b"".join(x for x in path.read_bytes().splitlines() if not x.startswith(b"-"))
        blob = _clear_public_blob(base64.b64decode(body))
        if blob is not None:
            return asyncssh.import_public_key(_line(blob))
    except (OSError, ValueError, struct.error, asyncssh.KeyImportError):
        pass
    try:
        return asyncssh.read_public_key(f"{path}.pub")
    except (OSError, asyncssh.KeyImportError):
        return None


def _line(blob: bytes) -> bytes:
    (size,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + size] + b" " + base64.b64encode(blob)


def _clear_public_blob(data: bytes) -> bytes | None:
    """PROTOCOL.key of OpenSSH: magic, cipher, kdf, kdf options, count, public key."""
    magic = b"openssh-key-v1\0"
    if not data.startswith(magic):
        return None
    at = len(magic)
    for _ in range(3):
        (size,) = struct.unpack_from(">I", data, at)
        at += 4 + size
    (size,) = struct.unpack_from(">I", data, at + 4)
    return data[at + 8 : at + 8 + size]


async def _decrypted(pool: ConnectionPool, path: Path, ask: Ask) -> asyncssh.SSHKey | None:
    """Ask for a passphrase, three times at most, once for all hosts; declined stays declined."""
    async with pool.lock(("passphrase", path)):
        if ("decrypted", path) in pool.keys:
            known: asyncssh.SSHKey | None = pool.keys["decrypted", path]
            return known
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, path.is_file):
            return None
        key: asyncssh.SSHKey | None = None
        for attempt in range(3):
            phrase = await ask(f"{'wrong; ' if attempt else ''}passphrase of the key {path}")
            if phrase is None:
                break
            try:
                key = await loop.run_in_executor(None, asyncssh.read_private_key, path, phrase)
                break
            except asyncssh.KeyEncryptionError:
                continue
            except (OSError, asyncssh.KeyImportError):
                break
        pool.keys["decrypted", path] = key
        return key
