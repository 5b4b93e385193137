"""How paramiko logs in: keys in the same order as asyncssh, then questions.

Learned: `auth_*` return the methods still wanted (2FA after a key), or raise; a failed one leaves
the connection usable until MaxAuthTries; paramiko's own agent class reads only SSH_AUTH_SOCK, and
its interactive handler is called in the waiting thread.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentSSH
from paramiko.pkey import UnknownKeyType

from edxconsole.errors import HandshakeDropped
from edxconsole.transport.login import LoginClock
from edxconsole.transport.pool import ConnectionPool
from edxconsole.transport.ssh_resolve import Target

MANY_FAILURES = 5  # then sshd hangs up (MaxAuthTries 6); paramiko loses its words
_PASSWORD = re.compile(r"pass\s?(word|code|phrase)", re.IGNORECASE)


class Agent(AgentSSH):
    """An agent at any path."""

    def __init__(self, path: str) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(10)
            sock.connect(path)
            self._connect(sock)  # type: ignore[attr-defined]
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


class _Attempt:
    """One login: what the server still wants, and what was tried."""

    def __init__(self, pool: ConnectionPool, target: Target, transport: Any, clock: LoginClock) -> None:
        self.pool = pool
        self.target = target
        self.transport = transport
        self.clock = clock
        self.methods: list[str] = ["publickey", "keyboard-interactive", "password"]
        self.last = ""
        self.failures = 0

    async def call(self, auth: Callable[..., list[str]], *args: object) -> bool:
        """One auth request in a thread; True when it was accepted, if only partly."""
        loop = asyncio.get_running_loop()
        try:
            self.methods = list(await loop.run_in_executor(None, auth, self.target.user, *args))
            return True
        except paramiko.BadAuthenticationType as error:
            self.methods = list(error.allowed_types)
        except paramiko.AuthenticationException as error:
            self.last = str(error)
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.last = str(error)
        self.failures += 1
        if not self.transport.is_active() and not self.done:
            if self.failures > MANY_FAILURES:
                raise self.clock.denied("Too many")
            if not self.last:
                raise HandshakeDropped("it hung up during login", host=self.target.name)
            raise self.clock.denied(self.last)
        return False

    @property
    def done(self) -> bool:
        return bool(self.transport.is_authenticated())


async def authenticate(pool: ConnectionPool, target: Target, transport: Any, clock: LoginClock) -> None:
    """Raises AuthenticationFailed, HandshakeDropped."""
    attempt = _Attempt(pool, target, transport, clock)
    await attempt.call(transport.auth_none)
    agent = await asyncio.get_running_loop().run_in_executor(None, _agent, target)
    try:
        if "publickey" in attempt.methods and not attempt.done:
            await _try_keys(attempt, agent)
    finally:
        if agent is not None:
            agent.close()
    if not attempt.done:
        await _try_answers(attempt)
    if not attempt.done:
        raise clock.denied(attempt.last)


async def _try_keys(attempt: _Attempt, agent: Agent | None) -> None:
    target = attempt.target
    loop = asyncio.get_running_loop()
    held = list(agent.get_keys()) if agent is not None else []
    plain, locked = await loop.run_in_executor(None, _read_keys, target)
    named = {k.asbytes() for k in plain} | await loop.run_in_executor(None, _public_blobs, locked)
    certificates = await loop.run_in_executor(None, _certificates, target)
    in_agent = {k.asbytes() for k in held}
    first = [k for k in held if k.asbytes() in named]
    rest = [] if target.identities_only else [k for k in held if k.asbytes() not in named]
    for key in (*first, *(k for k in plain if k.asbytes() not in in_agent), *rest):
        if await _offer(attempt, key, certificates):
            return
    for path in locked:
        if (await loop.run_in_executor(None, _public_blobs, [path])) & in_agent:
            continue
        unlocked = await _decrypted(attempt, path)
        if unlocked is not None and await _offer(attempt, unlocked, certificates):
            return


async def _try_answers(attempt: _Attempt) -> None:
    """Keyboard-interactive, else a password; one round of questions, never again by itself."""
    target, pool = attempt.target, attempt.pool
    name = ("password", target.user, target.address, target.port)
    loop = asyncio.get_running_loop()
    used: list[str] = []

    async def password(prompt: str) -> str | None:
        known = pool.secrets.pop(name, None)
        answer = known if known is not None else await attempt.clock.ask(prompt)
        used.extend([] if answer is None else [answer])
        return answer

    async def answers(text: str, prompts: list[tuple[str, bool]]) -> list[str] | None:
        given = []
        for prompt, echo in prompts:
            if not echo and len(prompts) == 1 and _PASSWORD.search(prompt) and not used:
                answer = await password(_clean(prompt))
            else:
                answer = await attempt.clock.ask(" ".join(x for x in (_clean(text), _clean(prompt)) if x))
            if answer is None:
                return None
            given.append(answer)
        return given

    def handler(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        given = asyncio.run_coroutine_threadsafe(answers(instructions, prompts), loop).result()
        if given is None:
            raise paramiko.AuthenticationException("declined")
        return given

    if "keyboard-interactive" in attempt.methods:
        await attempt.call(attempt.transport.auth_interactive, handler)
    elif "password" in attempt.methods:
        answer = await password(f"password of {target.user}@{target.address}")
        if answer is not None:
            await attempt.call(attempt.transport.auth_password, answer)
    if attempt.done and used:
        pool.secrets[name] = used[0]


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:300]


def _agent(target: Target) -> Agent | None:
    if target.agent is None:
        return None
    try:
        return Agent(target.agent)
    except (OSError, paramiko.SSHException):
        return None


def _read_keys(target: Target) -> tuple[list[paramiko.PKey], list[Path]]:
    """Keys in plain files, and paths of encrypted ones."""
    plain: list[paramiko.PKey] = []
    locked: list[Path] = []
    for path in target.identity_files:
        if not path.is_file():
            continue
        try:
            plain.append(paramiko.PKey.from_path(path))
        except (paramiko.PasswordRequiredException, TypeError):
            locked.append(path)
        except (OSError, ValueError, paramiko.SSHException, UnknownKeyType):
            continue
    return plain, locked


def _public_blobs(paths: list[Path]) -> set[bytes]:
    """From the .pub files beside them."""
    blobs = set()
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            blobs.add(base64.b64decode(Path(f"{path}.pub").read_text().split()[1]))
    return blobs


def _certificates(target: Target) -> list[Path]:
    paths = [*target.certificate_files, *(Path(f"{p}-cert.pub") for p in target.identity_files)]
    return [p for p in paths if p.is_file()]


async def _offer(attempt: _Attempt, key: paramiko.PKey, certificates: list[Path]) -> bool:
    """The key with each certificate that fits, then without; True when one was accepted."""
    loop = asyncio.get_running_loop()
    for path in certificates if isinstance(key, paramiko.PKey) else ():
        with contextlib.suppress(ValueError, OSError, paramiko.SSHException):
            await loop.run_in_executor(None, key.load_certificate, str(path))
            if await attempt.call(attempt.transport.auth_publickey, key):
                return True
        key.public_blob = None
    return await attempt.call(attempt.transport.auth_publickey, key)


async def _decrypted(attempt: _Attempt, path: Path) -> paramiko.PKey | None:
    """Ask for a passphrase, three times at most, once for all hosts; declined stays declined."""
    pool, loop = attempt.pool, asyncio.get_running_loop()
    async with pool.lock(("paramiko passphrase", path)):
        if ("paramiko", path) not in pool.keys:
            pool.keys["paramiko", path] = None
            for turn in range(3):
                phrase = await attempt.clock.ask(f"{'wrong; ' if turn else ''}passphrase of the key {path}")
                if phrase is None:
                    break
                key = await loop.run_in_executor(None, _unlock, path, phrase)
                if key is not None:
                    pool.keys["paramiko", path] = key
                    break
        found: paramiko.PKey | None = pool.keys["paramiko", path]
        return found


def _unlock(path: Path, phrase: str) -> paramiko.PKey | None:
    """None when the passphrase is wrong. `PKey.from_path` takes no text for a passphrase."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with contextlib.suppress(paramiko.SSHException, ValueError, OSError):
            return kind.from_private_key_file(str(path), phrase)
    return None
