"""A host is hostile until proven otherwise: noise, endless lines, wrong frames, silence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edxconsole.errors import CommandTimedOut, ProbeDied, ProtocolViolation
from edxconsole.probe.channel import ProbeChannel
from edxconsole.probe.decode import Decoder
from edxconsole.probe.frames import MAX_FRAME, AnyFrame, Beat, Hello, Listeners, Note, Vitals

HELLO = {
    "k": "hello",
    "n": 0,
    "t": 1.5,
    "edxprobe": 1,
    "python": "3.11.7",
    "pid": 7,
    "uid": 0,
    "user": "root",
    "hostname": "h",
    "kernel": "6",
    "cores": 2,
    "ticks": 100,
    "boot": 1.0,
    "zone": 0,
    "caps": ["files"],
    "ro": 1,
    "shell": 0,
    "later": {"a": 1},
}
BEAT = {"k": "beat", "n": 1, "t": 2.5, "cpu_ms": 1.5, "rss": 9}


def line(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode() + b"\n"


class Script:
    """A Process that says what it is told to and records what it is sent."""

    def __init__(self, *said: bytes, stderr: bytes = b"", ends: bool = True, status: int = 0) -> None:
        self.stdout = asyncio.StreamReader()
        self.stderr = asyncio.StreamReader()
        self.stdin = self
        self.sent = b""
        self.status = status
        self.closed = False
        for data in said:
            self.stdout.feed_data(data)
        self.stderr.feed_data(stderr)
        self.stderr.feed_eof()
        if ends:
            self.stdout.feed_eof()

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        return

    def write_eof(self) -> None:
        return

    async def wait_closed(self) -> None:
        return

    async def wait(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.closed = True

    def close(self) -> Any:
        self.closed = True
        return asyncio.sleep(0)


def channel(process: Script) -> ProbeChannel:
    one = ProbeChannel(process, "web1")
    one.begin(b"program")
    return one


async def collect(one: ProbeChannel, frames: list[AnyFrame]) -> None:
    async for frame in one.frames():
        frames.append(frame)  # noqa: PERF401 - those before the end count


async def test_banner_before_hello_is_passed_over() -> None:
    one = channel(
        Script(b"Welcome to Ubuntu\r\n{not a probe}\n\x1b[2J", b"last login\n", line(HELLO), line(BEAT))
    )
    assert (await one.wait_hello()).hostname == "h"
    frames: list[AnyFrame] = []
    with pytest.raises(ProbeDied, match=r"web1: the probe ended with status 0"):
        await collect(one, frames)
    assert [type(f) for f in frames] == [Hello, Beat]
    await one.close()


async def test_frames_in_pieces_are_put_together() -> None:
    data = line(HELLO) + line(BEAT)
    process = Script(ends=False)
    one = channel(process)
    for i in range(0, len(data), 7):
        process.stdout.feed_data(data[i : i + 7])
        await asyncio.sleep(0)
    await one.wait_hello()
    seen = []
    async for frame in one.frames():
        seen.append(frame)
        if len(seen) == 2:
            break
    assert seen[1] == Beat(1, 2.5, cpu_ms=1.5, rss=9)
    assert process.sent == b"program"
    await one.close()
    await one.close()


@pytest.mark.parametrize(
    "bad",
    [
        b"x" * (MAX_FRAME + 10),
        b"x" * MAX_FRAME + b"\n",
        b"not json\n",
        b"[]\n",
        b"[" * 60000 + b"\n",
        line({**BEAT, "n": 5}),
        line({**BEAT, "rss": "9"}),
        line({**BEAT, "rss": True}),
        line({**BEAT, "rss": 2**70}),
        line({**BEAT, "t": None}),
        b'{"k":"beat","n":1,"t":NaN,"cpu_ms":1,"rss":1}\n',
        b'{"k":"beat","n":1,"t":1,"cpu_ms":1,"rss":' + b"9" * 5000 + b"}\n",
        b'{"k":"beat","n":1,"t":1,"cpu_ms":1}\n',
        b"\xff\xfe\n",
        line({"k": "procs", "n": 1, "t": 1, "full": 1, "new": [[1]], "upd": [], "gone": []}),
        line({"k": "note", "n": 1, "t": 1, "what": "x", "path": "y" * 9000, "errno": 0, "text": ""}),
    ],
    ids=range(16),
)
async def test_what_no_probe_sends_cuts_the_host_off(bad: bytes) -> None:
    process = Script(line(HELLO), bad, ends=False)
    one = channel(process)
    await one.wait_hello()
    with pytest.raises(ProtocolViolation) as caught:
        await collect(one, [])
    assert str(caught.value).startswith("web1: the probe sent")
    assert len(str(caught.value)) < 300
    assert process.closed
    await one.close()


async def test_a_host_that_only_talks_is_cut_off() -> None:
    one = channel(Script(*[b"blah blah blah\n" * 1000] * 6, ends=False))
    with pytest.raises(ProtocolViolation, match="not as a probe"):
        await one.wait_hello()
    await one.close()


async def test_its_last_words_are_told_in_one_printable_line() -> None:
    one = channel(Script(stderr=b"\x1b[31mTraceback\nsh: 1: python3: not found\n" + b"z" * 9000, status=127))
    with pytest.raises(ProbeDied) as caught:
        await one.wait_hello()
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 500
    await one.close()


async def test_a_request_that_nobody_answers_times_out() -> None:
    one = channel(Script(line(HELLO), ends=False))
    await one.wait_hello()
    with pytest.raises(CommandTimedOut, match="did not answer `stat`"):
        await one.request("stat", timeout=0.05, path="/x")
    await one.close()
    with pytest.raises(ProbeDied):
        await one.request("stat", path="/x")


async def test_a_slow_consumer_makes_the_host_wait_and_loses_nothing() -> None:
    many = [line({**BEAT, "n": n}) for n in range(1, 30001)]
    process = Script(line(HELLO), ends=False)
    one = channel(process)
    await one.wait_hello()

    async def feed() -> None:
        for i in range(0, len(many), 500):
            process.stdout.feed_data(b"".join(many[i : i + 500]))
            await asyncio.sleep(0)
        process.stdout.feed_eof()

    feeding = asyncio.create_task(feed())
    await feeding
    held = one.queued
    assert held < 20000
    frames: list[AnyFrame] = []
    with pytest.raises(ProbeDied):
        await collect(one, frames)
    assert len(frames) == 30001
    await one.close()


def test_unknown_kinds_and_keys_are_ignored() -> None:
    decoder = Decoder()
    assert isinstance(decoder.decode(line(HELLO)), Hello)
    assert decoder.decode(line({"k": "news", "n": 1, "t": 0})) is None
    assert isinstance(decoder.decode(line({**BEAT, "n": 2, "extra": []})), Beat)


def test_continued_listeners_and_unchanged_disks_are_joined() -> None:
    decoder = Decoder()
    row = ["tcp", "0.0.0.0", 80, 0, 1, None, "none"]
    assert (
        decoder.decode(line({"k": "listen", "n": 0, "t": 0, "rows": [row], "partial": 0, "more": 1})) is None
    )
    whole = decoder.decode(line({"k": "listen", "n": 1, "t": 0, "rows": [row], "partial": 0}))
    assert isinstance(whole, Listeners)
    assert len(whole.rows) == 2
    vitals = {"k": "vitals", "t": 0, "load": [0, 0, 0], "cpu": 0, "mem": [1, 1, 0, 0]}
    decoder.decode(line({**vitals, "n": 2, "disks": [["/", "/dev/vda", 9, 8, 7, 6]], "users": [[0, "root"]]}))
    later = decoder.decode(line({**vitals, "n": 3}))
    assert isinstance(later, Vitals)
    assert later.disks[0].inodes_free == 6
    assert later.users == {0: "root"}


def test_lone_surrogates_do_not_get_through() -> None:
    note = Decoder().decode(b'{"k":"note","n":0,"t":0,"what":"\\ud800x","path":"","errno":0,"text":""}')
    assert isinstance(note, Note)
    assert note.what == "?x"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
KINDS = ["hello", "procs", "listen", "vitals", "sup", "log", "reply", "beat", "note"]
KEYS = [
    "full",
    "new",
    "upd",
    "gone",
    "rows",
    "partial",
    "load",
    "cpu",
    "mem",
    "disks",
    "users",
    "config",
    "pid",
    "id",
    "path",
    "data",
    "mark",
    "lost",
    "error",
    "value",
    "more",
    "edxprobe",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=12))
def test_any_shape_is_decoded_or_refused(kind: str, body: dict[str, Any]) -> None:
    data = json.dumps({**body, "k": kind, "n": 0, "t": 0.0}).encode()
    try:
        frame = Decoder().decode(data)
    except ProtocolViolation as refused:
        frame = None
        text = str(refused)
    else:
        text = ""
    assert text.isprintable()
    assert frame is None or frame.n == 0
