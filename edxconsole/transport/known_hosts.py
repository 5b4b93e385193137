"""Which host keys are trusted: our own index over every known_hosts file.

asyncssh parses a known_hosts path again on each connection, on the loop (10,000 lines: 400 ms;
hashed ones 160 ms more), and can't tell an unknown host from a changed one: its message is the
same, and a host that changed to another key type fails in key exchange already. So files are
parsed once (again when they change), off the loop, and all that is trusted is looked up here.

A key is CHANGED when a name is known under any other key of any type. As in OpenSSH, for another
port than 22 a key pinned under the bare name is accepted too, but its absence proves nothing.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edxconsole.settings import state_dir


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """One key of a known_hosts line. `marker`: "", cert-authority or revoked."""

    kind: str
    blob: bytes
    marker: str
    where: str
    """file:line, for messages"""

    @property
    def line(self) -> str:
        """As in a public key file."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of one host."""

    keys: tuple[PinnedKey, ...] = ()
    authorities: tuple[PinnedKey, ...] = ()
    revoked: tuple[PinnedKey, ...] = ()
    pinned_by_name: bool = False
    """some key is pinned under exactly this name and port: any other key is a changed one"""

    @property
    def where(self) -> str:
        return self.keys[0].where if self.keys else ""


@dataclass(slots=True)
class _File:
    stamp: tuple[int, int, int]
    plain: dict[str, list[PinnedKey]] = field(default_factory=dict)
    patterns: list[tuple[list[str], PinnedKey]] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, PinnedKey]] = field(default_factory=list)

    def match(self, name: str) -> Iterable[PinnedKey]:
        yield from self.plain.get(name, ())
        for patterns, key in self.patterns:
            if _matches(patterns, name):
                yield key
        for salt, digest, key in self.hashed:
            if hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest):
                yield key


def own_file() -> Path:
    """Where edxconsole pins keys that the operator accepted."""
    return state_dir() / "known_hosts"


def fingerprint(blob: bytes) -> str:
    """`SHA256:...` as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def key_kind(blob: bytes) -> str:
    """The algorithm name inside a public key blob."""
    (size,) = struct.unpack_from(">I", blob)
    return blob[4 : 4 + size].decode("ascii", "replace")


def host_pattern(name: str, port: int) -> str:
    """How known_hosts writes a host: bare on port 22, else [name]:port."""
    return name.lower() if port == 22 else f"[{name.lower()}]:{port}"


class KnownHosts:
    """The parsed files, kept by stamp. Call from worker threads: it reads files and hashes."""

    def __init__(self) -> None:
        self._files: dict[Path, _File] = {}

    def lookup(self, files: Iterable[Path], name: str, port: int) -> Trust:
        """What these files and our own say about a host. Missing files are empty ones."""
        exact: dict[tuple[str, bytes], PinnedKey] = {}
        bare: dict[tuple[str, bytes], PinnedKey] = {}
        pattern = host_pattern(name, port)
        for path in dict.fromkeys((*files, own_file())):
            loaded = self._load(path)
            if loaded is None:
                continue
            for key in loaded.match(pattern):
                exact.setdefault((key.marker, key.blob), key)
            for key in loaded.match(name.lower()) if port != 22 else ():
                bare.setdefault((key.marker, key.blob), key)
        found = [*exact.values(), *(k for i, k in bare.items() if i not in exact)]
        revoked = tuple(k for k in found if k.marker == "revoked")
        bad = {k.blob for k in revoked}
        return Trust(
            keys=tuple(k for k in found if not k.marker and k.blob not in bad),
            authorities=tuple(k for k in found if k.marker == "cert-authority" and k.blob not in bad),
            revoked=revoked,
            pinned_by_name=any(not k.marker for k in exact.values()),
        )

    def pin(self, name: str, port: int, key_line: str) -> Path:
        """Append a key that the operator accepted to our own file (0600), fsynced."""
        path = own_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = f"{host_pattern(name, port)} {' '.join(key_line.split()[:2])}\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab") as out:
            out.write(line.encode())
            out.flush()
            os.fsync(out.fileno())
        return path

    def _load(self, path: Path) -> _File | None:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            known = self._files.get(path)
            if known is not None and known.stamp == stamp:
                return known
            text = path.read_text("utf-8", "replace")
        except OSError:
            return None
        loaded = _File(stamp)
        for number, line in enumerate(text.splitlines(), 1):
            _add(loaded, line, f"{path}:{number}")
        self._files[path] = loaded
        return loaded


def _add(into: _File, line: str, where: str) -> None:
    """One known_hosts line (sshd(8)); what can't be read is skipped, as OpenSSH does."""
    words = line.split()
    marker = words.pop(0)[1:] if words and words[0].startswith("@") else ""
    if len(words) < 3 or words[0].startswith("#") or marker not in ("", "cert-authority", "revoked"):
        return
    try:
        blob = base64.b64decode(words[2], validate=True)
        if key_kind(blob) != words[1]:
            return
        key = PinnedKey(words[1], blob, marker, where)
        if words[0].startswith("|1|"):
            _, _, salt, digest = words[0].split("|")
            into.hashed.append((base64.b64decode(salt), base64.b64decode(digest), key))
            return
    except (binascii.Error, struct.error, ValueError):
        return
    names = words[0].lower().split(",")
    if any(c in words[0] for c in "*?!"):
        into.patterns.append((names, key))
    else:
        for name in names:
            into.plain.setdefault(name, []).append(key)


def _matches(patterns: list[str], name: str) -> bool:
    """OpenSSH host patterns: * and ?, and ! to except. Brackets are literal, unlike fnmatch's."""
    hit = False
    for pattern in patterns:
        plain = pattern.lstrip("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name, plain):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit
