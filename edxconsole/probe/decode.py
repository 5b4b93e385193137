"""From lines a probe sent to typed frames. What a host sends is hostile until it has passed here.

The wire format, one JSON object per line (`k` kind, `n` sequence number, `t` host clock):

========  =======================================================================================
hello     edxprobe (protocol) python pid uid user hostname kernel cores ticks boot zone caps ro shell
procs     full, new [[pid ppid start uid comm state cpu rss threads [argv]]...],
          upd [[pid state cpu rss threads]...], gone [pid...]
listen    rows [[proto address port uid inode pid|null how]...], partial, more
vitals    load [3], cpu, mem [total available swap-total swap-free]; when changed: disks
          [[mount device total free inodes inodes-free]...], users [[uid name]...]
sup       config pid endpoint owner version state full error, rows in the order of ProgramRow
log       id path dev ino off len data mark lost
reply     id error value, more
beat      cpu_ms rss
note      what path errno text
========  =======================================================================================

A list that does not fit in one frame is continued in the next, all but the last with `more`: the
decoder joins `listen` and `reply`; `procs` and `sup` continue as deltas.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from edxconsole.errors import ProtocolViolation
from edxconsole.probe.frames import (
    MAX_FRAME,
    PROTOCOL,
    AnyFrame,
    Beat,
    Disk,
    Hello,
    ListenerRow,
    Listeners,
    LogChunk,
    Note,
    Processes,
    ProcessRow,
    ProgramRow,
    Reply,
    Supervisor,
    Vitals,
)

MAX_TEXT = 4096
MAX_JOINED = 100_000
"""items that may come together from continued frames"""
_LIMIT = 1 << 63

Body = Mapping[str, Any]


class Decoder:
    """Decodes the frames of one probe, in order, and checks that they are in order.

    It remembers what frames leave out because it did not change (disks, user names).
    """

    def __init__(self, host: str | None = None) -> None:
        self._host = host
        self._next = 0
        self._listeners: list[ListenerRow] = []
        self._reply: list[Any] = []
        self._disks: tuple[Disk, ...] = ()
        self._users: Mapping[int, str] = {}
        self._kinds: dict[str, Callable[[int, float, Body], AnyFrame | None]] = {
            "hello": _hello,
            "procs": _processes,
            "listen": self._listen,
            "vitals": self._vitals,
            "sup": _supervisor,
            "log": _log,
            "reply": self._replied,
            "beat": _beat,
            "note": _note,
        }

    def decode(self, line: bytes) -> AnyFrame | None:
        """One line without its newline. None for kinds we don't know and frames to be continued.

        Raises:
            ProtocolViolation: too long, not JSON, a wrong shape, out of sequence.
        """
        try:
            if len(line) > MAX_FRAME:
                _wrong(f"a line of {len(line)} bytes")
            # Given bytes, json guesses at their encoding first.
            body = json.loads(line.decode("utf-8", "surrogatepass"))
            if not isinstance(body, dict):
                _wrong("no object")
            n, t = _int(body["n"]), _float(body["t"])
            if n != self._next:
                _wrong(f"frame {n} where {self._next} was due")
            self._next += 1
            kind = self._kinds.get(_str(body["k"]))
            return kind(n, t, body) if kind else None
        except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
            raise ProtocolViolation(
                f"the probe sent what no probe sends ({_why(error)})",
                host=self._host,
                remedy="the host is cut off; look at what its login shell prints",
            ) from error

    def _listen(self, n: int, t: float, body: Body) -> Listeners | None:
        self._listeners += [_listener(row) for row in _list(body["rows"])]
        if len(self._listeners) > MAX_JOINED:
            _wrong("too many listeners")
        if body.get("more"):
            return None
        rows, self._listeners = tuple(self._listeners), []
        return Listeners(n, t, rows=rows, partial=bool(body["partial"]))

    def _vitals(self, n: int, t: float, body: Body) -> Vitals:
        if "disks" in body:
            self._disks = tuple(_disk(row) for row in _list(body["disks"]))
        if "users" in body:
            self._users = {_int(uid): _str(name) for uid, name in _list(body["users"])}
        one, five, fifteen = (_float(x) for x in _list(body["load"]))
        total, available, swap, swap_free = (_int(x) for x in _list(body["mem"]))
        return Vitals(
            n,
            t,
            load=(one, five, fifteen),
            cpu=_float(body["cpu"]),
            mem_total=total,
            mem_available=available,
            swap_total=swap,
            swap_free=swap_free,
            disks=self._disks,
            users=self._users,
        )

    def _replied(self, n: int, t: float, body: Body) -> Reply | None:
        value = body["value"]
        if body.get("more"):
            self._reply += _list(value)
            if len(self._reply) > MAX_JOINED:
                _wrong("an endless reply")
            return None
        if self._reply:
            value, self._reply = self._reply + _list(value), []
        return Reply(n, t, id=_int(body["id"]), error=_str(body["error"]), value=value)


def _hello(n: int, t: float, body: Body) -> Hello:
    if body["edxprobe"] != PROTOCOL:
        _wrong(f"protocol {body['edxprobe']!r}")
    return Hello(
        n,
        t,
        python=_str(body["python"]),
        pid=_int(body["pid"]),
        uid=_int(body["uid"]),
        user=_str(body["user"]),
        hostname=_str(body["hostname"]),
        kernel=_str(body["kernel"]),
        cores=max(1, _int(body["cores"])),
        ticks=max(1, _int(body["ticks"])),
        boot=_float(body["boot"]),
        zone=_int(body["zone"]),
        caps=frozenset(_str(cap) for cap in _list(body["caps"])),
        read_only=bool(body["ro"]),
        shell=bool(body["shell"]),
    )


def _processes(n: int, t: float, body: Body) -> Processes:
    changed = {
        _int(pid): (_str(state), _int(cpu), _int(rss), _int(threads))
        for pid, state, cpu, rss, threads in _list(body["upd"])
    }
    return Processes(
        n,
        t,
        full=bool(body["full"]),
        new=tuple(_process(row) for row in _list(body["new"])),
        changed=changed,
        gone=tuple(_int(pid) for pid in _list(body["gone"])),
    )


def _process(row: Any) -> ProcessRow:
    pid, ppid, start, uid, comm, state, cpu, rss, threads, argv, *more = row
    return ProcessRow(
        pid=_int(pid),
        ppid=_int(ppid),
        start=_int(start),
        uid=_int(uid),
        comm=_str(comm),
        state=_str(state),
        cpu=_int(cpu),
        rss=_int(rss),
        threads=_int(threads),
        argv=tuple(_str(arg) for arg in _list(argv)),
        contained=bool(more and _int(more[0])),
    )


def _listener(row: Any) -> ListenerRow:
    proto, address, port, uid, inode, pid, how = row
    if proto not in ("tcp", "tcp6", "unix") or how not in ("owner", "unit", "guess", "none"):
        _wrong("a strange listener")
    return ListenerRow(
        proto=proto,
        address=_str(address),
        port=_int(port),
        uid=_int(uid),
        inode=_int(inode),
        pid=None if pid is None else _int(pid),
        how=how,
    )


def _disk(row: Any) -> Disk:
    mount, device, *numbers = row
    total, free, inodes, inodes_free = (_int(x) for x in numbers)
    return Disk(_str(mount), _str(device), total, free, inodes, inodes_free)


def _supervisor(n: int, t: float, body: Body) -> Supervisor:
    return Supervisor(
        n,
        t,
        config=_str(body["config"]),
        pid=_int(body["pid"]),
        endpoint=_str(body["endpoint"]),
        owner=_str(body["owner"]),
        version=_str(body["version"]),
        statename=_str(body["state"]),
        full=bool(body["full"]),
        programs=tuple(_program(row) for row in _list(body["rows"])),
        error=_str(body["error"]),
    )


def _program(row: Any) -> ProgramRow:
    name, group, statename, pid, start, stop, exitstatus, spawnerr, stdout, stderr = row
    return ProgramRow(
        name=_str(name),
        group=_str(group),
        statename=_str(statename),
        pid=_int(pid),
        start=_int(start),
        stop=_int(stop),
        exitstatus=_int(exitstatus),
        spawnerr=_str(spawnerr),
        stdout_logfile=_str(stdout),
        stderr_logfile=_str(stderr),
    )


def _log(n: int, t: float, body: Body) -> LogChunk:
    data = body["data"]
    if not isinstance(data, str):
        _wrong("log data that is no text")
    return LogChunk(
        n,
        t,
        id=_int(body["id"]),
        path=_str(body["path"]),
        device=_int(body["dev"]),
        inode=_int(body["ino"]),
        offset=_int(body["off"]),
        data=_clean(data),
        mark=_str(body["mark"]),
        lost=_int(body["lost"]),
        length=_int(body["len"]),
    )


def _beat(n: int, t: float, body: Body) -> Beat:
    return Beat(n, t, cpu_ms=_float(body["cpu_ms"]), rss=_int(body["rss"]))


def _note(n: int, t: float, body: Body) -> Note:
    return Note(
        n,
        t,
        what=_str(body["what"]),
        path=_str(body["path"]),
        errno=_int(body["errno"]),
        text=_str(body["text"]),
    )


def _wrong(text: str) -> NoReturn:
    raise ValueError(text)


def _why(error: Exception) -> str:
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    return (kind + ascii(str(error)).strip("'\""))[:120]


def _int(value: Any) -> int:
    if type(value) is not int or not -_LIMIT < value < 2 * _LIMIT:
        _wrong("a number was expected")
    return value


def _float(value: Any) -> float:
    if type(value) is int:
        value = float(value)
    if type(value) is not float or not math.isfinite(value):
        _wrong("a finite number was expected")
    return value


def _str(value: Any) -> str:
    if type(value) is not str or len(value) > MAX_TEXT:
        _wrong("a short text was expected")
    return _clean(value)


def _clean(text: str) -> str:
    """Without lone surrogates: they can't be encoded again and would break whoever prints or saves it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        _wrong("a list was expected")
    return value
