"""The journal: what was done to hosts, append-only, one JSON object per line, hash-chained.

Each record carries the sha256 of the line before it (`prev`), so that a changed, removed or
reordered line shows in `verify()`. A record is on disk (fsync) before `append` returns; an act
whose "begin" can't be written is not done. Record shape: services.md section 4.5.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edxconsole.errors import JournalError
from edxconsole.settings import local_user

GENESIS = "0" * 64
FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verify(): records counted, and the first thing found wrong ("" if nothing)."""

    records: int
    fault: str
    line: int | None = None

    @property
    def ok(self) -> bool:
        return not self.fault


class Journal:
    """An append-only file under the operator's state directory. Several consoles may share it.

    Args:
        directory: where the file lives; made 0700 when missing. The file is 0600.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._seq: int | None = None

    def append(self, plan: str, event: str, **fields: Any) -> dict[str, Any]:
        """Write one record and fsync it. Raises JournalError when that can't be done."""
        try:
            with self._locked() as fd:
                return self._write(fd, plan, event, fields)
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} can't be written ({error.strerror})",
                remedy="free the disk or fix its owner; nothing is changed on a host without it",
            ) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Every whole record, oldest first. A torn last line is left out; verify() reports it."""
        for line in self._lines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record

    def verify(self) -> Verdict:
        """Walk the hash chain from the first line."""
        prev, count = GENESIS, 0
        for number, line in enumerate(self._lines(), 1):
            if not line.endswith(b"\n"):
                return Verdict(count, "the last record is torn: the console died while writing it", number)
            try:
                record = json.loads(line)
            except ValueError:
                return Verdict(count, "a line is not a record", number)
            if not isinstance(record, dict) or record.get("prev") != prev:
                return Verdict(
                    count, "the chain is broken: a record was changed, removed or inserted", number
                )
            prev, count = _digest(line), count + 1
        return Verdict(count, "")

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from file
        except FileNotFoundError:
            return

    def _locked(self) -> _LockedFile:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _LockedFile(self.path)

    def _write(self, fd: int, plan: str, event: str, fields: dict[str, Any]) -> dict[str, Any]:
        last = _last_line(fd)
        if last and not last.endswith(b"\n"):
            os.write(fd, b"\n")
            last += b"\n"
        record = {
            "v": 1,
            "plan": plan,
            "seq": self._next_seq(last),
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "actor": {"local": local_user(), "pid": os.getpid()},
            "ev": event,
            **fields,
            "prev": _digest(last) if last else GENESIS,
        }
        line = (json.dumps(record, separators=(",", ":"), default=str) + "\n").encode()
        written = 0
        while written < len(line):
            written += os.write(fd, line[written:])
        os.fsync(fd)
        return record

    @staticmethod
    def _next_seq(last: bytes) -> int:
        try:
            return int(json.loads(last)["seq"]) + 1
        except (ValueError, KeyError, TypeError):
            return 1 if last else 0


class _LockedFile:
    """The journal open for append under an exclusive flock, which also orders two consoles."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> int:
        new = not self._path.exists()
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        if new:
            _fsync_directory(self._path.parent)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _last_line(fd: int, chunk: int = 1 << 16) -> bytes:
    """The last line of the file, with its newline if it has one; b"" for an empty file."""
    end = os.fstat(fd).st_size
    data = b""
    while end > 0:
        start = max(0, end - chunk)
        data = os.pread(fd, end - start, start) + data
        cut = data.rfind(b"\n", 0, len(data) - 1)
        if cut >= 0:
            return data[cut + 1 :]
        end = start
    return data


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
