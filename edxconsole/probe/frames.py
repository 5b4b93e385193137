"""What the probe sends and is sent: one JSON object per line, at most 64 KiB, version 1.

Every frame from the host has `k` (kind), `n` (sequence number, +1 each, from 0) and `t` (the
host's wall clock, epoch seconds). The dataclasses here are the decoded, bounded, typed forms;
`Decoder.decode()` in decode.py raises ProtocolViolation for anything else. Unknown kinds and keys
are ignored, so that an older console can read a newer probe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PROTOCOL = 1
MAX_FRAME = 64 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """What all frames share. `n` sequence number, `t` host wall clock (epoch s)."""

    n: int
    t: float


@dataclass(frozen=True, slots=True)
class Hello(Frame):
    """First frame: who is speaking. `caps` e.g. pidfd, netlink, schedstat, pread, supervisor."""

    python: str
    pid: int
    uid: int
    user: str
    hostname: str
    kernel: str
    cores: int
    ticks: int
    """clock ticks per second, for start and cpu fields"""
    boot: float
    """epoch seconds of boot, host clock: process start = boot + start/ticks"""
    zone: int
    """seconds east of UTC"""
    caps: frozenset[str]
    read_only: bool
    shell: bool
    """True for the POSIX sh probe: essentials only"""


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process. `start` clock ticks since boot; `cpu` clock ticks used; `rss` KiB."""

    pid: int
    ppid: int
    start: int
    uid: int
    comm: str
    state: str
    cpu: int
    rss: int
    threads: int
    argv: tuple[str, ...]
    """secrets in arguments and URLs masked on the host, bounded"""
    contained: bool = False
    """in a pid namespace below the host's own: inside a container"""


@dataclass(frozen=True, slots=True)
class Processes(Frame):
    """`full` replaces everything; otherwise a delta. `changed`: pid -> (state, cpu, rss, threads)."""

    full: bool
    new: tuple[ProcessRow, ...]
    changed: Mapping[int, tuple[str, int, int, int]]
    gone: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListenerRow:
    """One listening socket. `how`: owner (pid read from /proc), unit (cgroup), guess, none."""

    proto: str
    """tcp, tcp6 or unix"""
    address: str
    """"0.0.0.0", "127.0.0.1", "::", or a path for unix"""
    port: int
    """0 for unix"""
    uid: int
    inode: int
    pid: int | None
    how: str


@dataclass(frozen=True, slots=True)
class Listeners(Frame):
    """All listening sockets, sent whole when any changed. `partial`: not all owners readable."""

    rows: tuple[ListenerRow, ...]
    partial: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """One real filesystem; KiB and inode counts."""

    mount: str
    device: str
    total: int
    free: int
    inodes: int
    inodes_free: int


@dataclass(frozen=True, slots=True)
class Vitals(Frame):
    """Load, CPU busy fraction 0..1 since the last, memory in KiB, disks, users {uid: name}."""

    load: tuple[float, float, float]
    cpu: float
    mem_total: int
    mem_available: int
    swap_total: int
    swap_free: int
    disks: tuple[Disk, ...]
    users: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """One supervisor program, fields as getAllProcessInfo names them."""

    name: str
    group: str
    statename: str
    pid: int
    start: int
    stop: int
    exitstatus: int
    spawnerr: str
    stdout_logfile: str
    stderr_logfile: str


@dataclass(frozen=True, slots=True)
class Supervisor(Frame):
    """One supervisord. Whole on first sight and when programs come or go, else only changed rows.

    `error` is "" or why its state can't be read, e.g. "EACCES /edx/var/supervisor/supervisor.sock".
    """

    config: str
    """path of its configuration file"""
    pid: int
    """of supervisord itself"""
    endpoint: str
    """"unix:/path" or "tcp:127.0.0.1:9001": where the console can speak to it"""
    owner: str
    """user name that owns the unix socket, "" if none"""
    version: str
    statename: str
    full: bool
    programs: tuple[ProgramRow, ...]
    error: str


@dataclass(frozen=True, slots=True)
class LogChunk(Frame):
    """Bytes of a followed file, as text with undecodable bytes replaced.

    `id` is the follow's own; `offset` where `data` begins in (device, inode); `mark` is "" or one
    of start, rotated, truncated, gap, missing, denied, back, and `lost` bytes known to be lost.
    `data` may end inside a line.
    """

    id: int
    path: str
    device: int
    inode: int
    offset: int
    data: str
    mark: str
    lost: int
    length: int = 0
    """bytes of the file that `data` stands for: resume at `offset + length`"""


@dataclass(frozen=True, slots=True)
class Reply(Frame):
    """The answer to a command with the same id. `error` is "" when it worked."""

    id: int
    error: str
    value: object


@dataclass(frozen=True, slots=True)
class Beat(Frame):
    """Alive; the probe's own cost: `cpu_ms` CPU milliseconds used so far, `rss` KiB."""

    cpu_ms: float
    rss: int


@dataclass(frozen=True, slots=True)
class Note(Frame):
    """Something the probe could not see: `what` a word (owners, argv, disk, supervisor, file)."""

    what: str
    path: str
    errno: int
    text: str


AnyFrame = Hello | Processes | Listeners | Vitals | Supervisor | LogChunk | Reply | Beat | Note
