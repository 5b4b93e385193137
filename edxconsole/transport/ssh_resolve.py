"""What ssh_config says about a host, asked of OpenSSH itself: `ssh -G`.

asyncssh's own ssh_config parser differs from OpenSSH in a dozen ways (`UserKnownHostsFile none`
switches host checking off, one unknown `Match` makes every host fail, `ProxyCommand` without a
shell, tables in ssh.md section 3.2), and parses 500 Host blocks in 65 ms per host; `ssh -G` is
exact, takes 17 ms in a process of its own, and both libraries get explicit options from it.

`ssh -G` (9.2) expands `~` and tokens in UserKnownHostsFile, joins that list with bare spaces, and
leaves `~` and tokens in IdentityFile, CertificateFile, IdentityAgent and ProxyCommand: those are
expanded here. Names come from files and reach a shell in ProxyCommand, so they are restricted
(CVE-2023-51385).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edxconsole.errors import HostUnreachable, InventoryError
from edxconsole.inventory.model import Host
from edxconsole.numerals import natural
from edxconsole.settings import home_dir, local_user
from edxconsole.transport.ending import end_process, spawn

_NAME = re.compile(r"[A-Za-z0-9._:%@\[\]-]+\Z")
MOST_SPACES = 4
_JUMP = re.compile(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?/?\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to connect, everything explicit."""

    name: str
    """the inventory name, or the jump's alias"""
    address: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    known_hosts: tuple[Path, ...]
    host_key_alias: str | None
    proxy_command: str | None
    """expanded, for /bin/sh -c"""
    jumps: tuple[str, ...]
    """[user@]host[:port] in the order they are passed, first one nearest to us"""
    connect_timeout: float
    legacy_algorithms: bool
    config: Path | None
    """the ssh_config file, for its jump hosts too; None is the operator's own"""

    @property
    def key_name(self) -> str:
        """The name under which known_hosts knows this host."""
        return self.host_key_alias or self.address


Ask = Callable[..., Awaitable[dict[str, list[str]]]]
"""`ssh_g`, or what remembers its answers"""


def check_name(name: str, what: str = "host name") -> str:
    """Refuse what could be read as an option or by a shell. Raises InventoryError."""
    if name.startswith("-") or not _NAME.match(name):
        raise InventoryError(
            f"{what} {name!r} is not allowed", remedy="use only letters, digits and . _ : % @ -"
        )
    return name


def split_jump(spec: str) -> tuple[str | None, str, int | None]:
    """`[user@]host[:port]` or an ssh:// URI -> (user, host, port). Raises InventoryError."""
    match = _JUMP.match(spec.strip())
    if not match:
        raise InventoryError(f"jump host {spec!r} is not [user@]host[:port]")
    host = check_name(match["host"].strip("[]"), "jump host")
    user = check_name(match["user"], "user") if match["user"] else None
    return user, host, int(match["port"]) if match["port"] else None


async def ssh_g(
    name: str, *, config: Path | None = None, port: int | None = None, user: str | None = None
) -> dict[str, list[str]]:
    """Run `ssh -G`; lower-case keyword -> its values. Raises HostUnreachable with ssh's words."""
    argv = ["ssh", "-G", "-T", "-o", "BatchMode=yes"]
    argv += ["-F", str(config)] if config is not None else []
    argv += ["-p", str(port)] if port is not None else []
    argv += ["-l", check_name(user, "user")] if user is not None else []
    try:
        process = await spawn(
            *argv,
            "--",
            check_name(name),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        return {}
    try:
        async with asyncio.timeout(15):
            out, err = await process.communicate()
    except TimeoutError:
        raise HostUnreachable(
            "`ssh -G` did not answer within 15 s",
            host=name,
            remedy="look for a slow `Match exec` in ssh_config",
        ) from None
    finally:
        await end_process(process, signal.SIGKILL)
    if process.returncode != 0:
        said = err.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise HostUnreachable(f"ssh_config can't be read: {said[0][:200]}", host=name, remedy="correct it")
    return _parse(out.decode("utf-8", "surrogateescape"))


def _parse(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        values.setdefault(word.lower(), []).append(value)
    return values


async def resolve(host: Host, ask: Ask = ssh_g) -> Target:
    """A host of the inventory; what hosts.yaml says wins over ssh_config."""
    name = host.address or host.name
    said = await ask(name, config=host.ssh_config, port=host.port, user=host.user)
    jumps = tuple(host.jump.split(",")) if host.jump else _jumps(said)
    return _target(
        host.name,
        name,
        said,
        port=host.port,
        user=host.user,
        jumps=() if host.proxy_command and not host.jump else jumps,
        proxy_command=host.proxy_command,
        identity=host.identity_file,
        known_hosts=host.known_hosts,
        proxy=not host.jump,
        legacy=host.legacy_algorithms,
        config=host.ssh_config,
    )


async def resolve_jump(spec: str, config: Path | None, ask: Ask = ssh_g) -> Target:
    """A jump host that is no host of the inventory: an alias or address of ssh_config."""
    user, name, port = split_jump(spec)
    said = await ask(name, config=config, port=port, user=user)
    return _target(spec, name, said, port=port, user=user, jumps=_jumps(said), config=config)


def _jumps(said: Mapping[str, list[str]]) -> tuple[str, ...]:
    value = said.get("proxyjump", ["none"])[0]
    return () if value.lower() in ("none", "") else tuple(x.strip() for x in value.split(","))


def _target(
    label: str,
    name: str,
    said: Mapping[str, list[str]],
    *,
    port: int | None,
    user: str | None,
    jumps: tuple[str, ...],
    identity: Path | None = None,
    known_hosts: Path | None = None,
    proxy_command: str | None = None,
    proxy: bool = True,
    legacy: bool = False,
    config: Path | None = None,
) -> Target:
    def one(word: str, default: str = "") -> str:
        return said.get(word, [default])[0]

    login = user or one("user") or local_user()
    address = check_name(one("hostname", name))
    number = port or int(one("port", "22"))
    tokens = _tokens(name, address, number, check_name(login, "user"), one("hostkeyalias"))
    command = proxy_command or one("proxycommand", "none")
    identities = [str(identity)] if identity else said.get("identityfile", [])
    timeout = one("connecttimeout", "none")
    return Target(
        name=label,
        address=address,
        port=number,
        user=login,
        identity_files=tuple(_path(x, tokens) for x in identities if x != "none"),
        certificate_files=tuple(_path(x, tokens) for x in said.get("certificatefile", []) if x != "none"),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(one("identityagent", "SSH_AUTH_SOCK"), tokens),
        known_hosts=(*_known_hosts(said, tokens), *([known_hosts] if known_hosts else [])),
        host_key_alias=one("hostkeyalias") or None,
        proxy_command=expand(command, tokens) if proxy and not jumps and command != "none" else None,
        jumps=jumps,
        connect_timeout=float(natural(timeout, 6) or 15),
        legacy_algorithms=legacy,
        config=config,
    )


def _known_hosts(said: Mapping[str, list[str]], tokens: Mapping[str, str]) -> list[Path]:
    """`ssh -G` joins these with bare spaces: a path with a space is found by trying the joins."""
    found: list[Path] = []
    defaults = {
        "userknownhostsfile": "~/.ssh/known_hosts ~/.ssh/known_hosts2",
        "globalknownhostsfile": "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2",
    }
    for word, default in defaults.items():
        value = said.get(word, [default])[0]
        words = value.split(" ") if value != "none" else []
        joins = [
            " ".join(words[i:j])
            for i in range(len(words))
            for j in range(i + 1, min(i + MOST_SPACES, len(words)) + 1)
        ]
        found += [_path(x, tokens) for x in joins if x]
    return found


def _tokens(original: str, address: str, port: int, user: str, alias: str) -> dict[str, str]:
    local = socket.gethostname()
    return {
        "%": "%",
        "h": address,
        "n": original,
        "p": str(port),
        "r": user,
        "k": alias or original,
        "u": local_user(),
        "i": str(os.getuid()),
        "d": str(home_dir()),
        "l": local,
        "L": local.split(".")[0],
    }


def expand(text: str, tokens: Mapping[str, str]) -> str:
    """Replace %-tokens as ssh_config(5) does. Raises InventoryError for one it does not know."""

    def value(match: re.Match[str]) -> str:
        try:
            return tokens[match[1]]
        except KeyError:
            raise InventoryError(f"ssh_config: the token %{match[1]} is not known here") from None

    return re.sub(r"%(.)", value, text)


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    return Path(os.path.expanduser(expand(text.strip('"'), tokens)))


def _agent(value: str, tokens: Mapping[str, str]) -> str | None:
    if value == "none":
        return None
    if value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if value.startswith("$"):
        return os.environ.get(value[1:].strip("{}")) or None
    return str(_path(value, tokens))
