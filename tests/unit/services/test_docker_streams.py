"""Frames, times and lines of a container's output; any cut of it gives the same, any nonsense our error."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edxconsole.errors import NotUnderstood
from edxconsole.services import docker_streams
from edxconsole.services.docker_streams import (
    MAX_HELD,
    MAX_MESSAGE,
    PART,
    REMEMBERED,
    SLACK,
    Frames,
    LogLine,
    LogLines,
    LogPlace,
)
from edxconsole.services.docker_units import stamp

RECORDED: Any = json.loads((Path(__file__).parent / "docker_api" / "streams.json").read_text())
SECOND = 1795410910
"""2026-11-23T05:15:10Z"""


def time_of(ns: int) -> bytes:
    return b"2026-11-23T05:15:10.%09dZ " % ns


def frame(stream: int, message: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(message).to_bytes(4, "big") + message


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({p % (len(data) + 1) for p in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def read(data: Iterable[bytes], *, tty: bool = False) -> list[tuple[int, str]]:
    lines = LogLines(tty=tty)
    found = [line for part in data for line in lines.take(part)]
    return [(line.at, line.text) for line in [*found, *lines.end()]]


@pytest.mark.parametrize("told", RECORDED, ids=lambda told: told["recorded from"][:14])
def test_as_recorded(told: Any) -> None:
    """`echo one; echo two >&2; printf three`; "three" comes when it ends without a newline."""
    lines = read([b64decode(told["logs_ended"])])
    assert sorted(text for _, text in lines) == ["one", "three", "two"]
    assert lines[-1][1] == "three"
    assert [at for at, _ in lines] == sorted(at for at, _ in lines)
    assert min(at for at, _ in lines) > 1795421000_000_000_000
    assert read([b64decode(told["logs"])]) == lines[:2]
    assert [text for _, text in read([b64decode(told["tty"])], tty=True)] == ["one", "two"]
    printed = list(Frames().feed(b64decode(told["exec_printed"])))
    assert sorted(printed) == [(1, b"hi\n"), (2, b"bad\n")], "the streams race"


def test_a_long_line_is_put_together_from_its_messages() -> None:
    body = bytes(range(97, 123)) * 2000
    pieces = [body[i : i + PART] for i in range(0, len(body), PART)]
    whole = b"".join(frame(1, time_of(7) + p + (b"\n" if p is pieces[-1] else b"")) for p in pieces[:-1])
    last = frame(1, time_of(7) + pieces[-1] + b"\n")
    between = frame(2, time_of(8) + b"error\n")
    assert read([whole + between + last]) == [
        (SECOND * 10**9 + 8, "error"),
        (SECOND * 10**9 + 7, body.decode()),
    ]
    raw = b"".join(time_of(7) + p for p in pieces) + b"\r\n" + time_of(9) + b"next\r\n"
    assert read([raw], tty=True) == [(SECOND * 10**9 + 7, body.decode()), (SECOND * 10**9 + 9, "next")]


def test_what_does_not_end_is_cut_and_what_is_too_long_is_counted() -> None:
    for tty in (False, True):
        lines = LogLines(tty=tty)
        data = time_of(1) + b"x" * (MAX_HELD + 1)
        (line,) = lines.take(data if tty else frame(1, data))
        assert len(line.text) > MAX_HELD - 40
        assert not list(lines.end())
    lines = LogLines(tty=False)
    found = list(lines.take(frame(1, b"y" * (MAX_MESSAGE + 1000)) + frame(1, b"after\n")))
    assert [line.text[:5] for line in found] == ["yyyyy", "after"]
    assert lines.skipped == 1000


def test_what_dockerd_says_itself_is_told_as_its_own() -> None:
    assert read([frame(3, b"error from daemon in stream\n")]) == [
        (0, "Docker says: error from daemon in stream")
    ]


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad", b"\x04\0\0\0\0\0\0\1x", b"\1\0\0\1\0\0\0\1x"])
def test_what_is_not_frames_is_our_error(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read([data])


messages = st.lists(
    st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 999), st.text("ab é\r", max_size=12)), max_size=30
)


@given(messages, st.lists(st.integers(0, 5000), max_size=12))
def test_however_it_is_cut_each_message_comes_out_once(
    said: list[tuple[int, int, str]], places: list[int]
) -> None:
    data = b"".join(frame(s, time_of(at) + text.encode() + b"\n") for s, at, text in said)
    expected = [(SECOND * 10**9 + at, text.removesuffix("\r")) for _, at, text in said]
    assert read(cut(data, places)) == expected
    raw = b"".join(time_of(at) + text.encode() + b"\n" for _, at, text in said)
    assert read(cut(raw, places), tty=True) == expected


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
def test_no_bytes_raise_anything_but_our_error(parts: list[bytes], tty: bool) -> None:
    try:
        found = read(parts, tty=tty)
    except NotUnderstood:
        assert not tty
        return
    assert sum(len(text) for _, text in found) <= sum(map(len, parts)) + 20 * len(found)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_frames_are_the_same_however_they_are_cut(data: bytes, places: list[int]) -> None:
    def all_of(parts: Iterable[bytes]) -> tuple[list[tuple[int, bytes]], bool]:
        frames: Frames = Frames()
        found: list[tuple[int, bytes]] = []
        try:
            for part in parts:
                found.extend(frames.feed(part))
        except NotUnderstood:
            return found, True
        return found, False

    data = frame(1, b"first") + data
    assert all_of(cut(data, places)) == all_of([data])


def test_the_work_grows_with_the_bytes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short lines, one at a time and all in one: each is looked at once."""
    seen: list[int] = []
    told = stamp

    def counted(said: str) -> int | None:
        seen.append(1)
        return told(said)

    monkeypatch.setattr(docker_streams, "stamp", counted)
    raw = (time_of(5) + b"\n") * 20_000
    assert len(read([raw], tty=True)) == 20_000
    assert len(read([frame(1, time_of(5) + b"\n") * 20_000])) == 20_000
    assert len(seen) == 40_000


# Going on where it stopped.

log_lines = st.lists(
    st.builds(LogLine, st.integers(0, 40).map(lambda n: n * SLACK // 8), st.sampled_from("abc")), max_size=40
)


def nearly_sorted(lines: list[LogLine]) -> list[LogLine]:
    """In an order that two streams may give: none later than SLACK after a younger one."""
    return sorted(lines, key=lambda line: (line.at // (SLACK // 2), line.text, line.at))


@settings(max_examples=300)
@given(log_lines, st.lists(st.integers(0, 40), max_size=4))
def test_over_any_reconnections_each_line_is_told_once(lines: list[LogLine], stops: list[int]) -> None:
    """As Docker answers `since`: every line that is not older, in the order it was written."""
    written = nearly_sorted(lines)
    place = LogPlace()
    got: list[LogLine] = []
    for stop in [*sorted(stops), len(written)]:
        place.resume()
        since = place.since
        for line in written[:stop]:
            if since is None or line.at >= since:
                new, gap = place.fresh(line)
                assert not gap
                got += [line] if new else []
    assert got == written


def test_lines_that_are_gone_meanwhile_are_told_as_a_gap() -> None:
    place = LogPlace()
    for n in range(5):
        assert place.fresh(LogLine(n, f"line {n}")) == (True, False)
    place.resume()
    assert place.fresh(LogLine(9, "a rotated log begins later")) == (True, True)
    assert place.fresh(LogLine(10, "next")) == (True, False)
    place.resume()
    assert place.fresh(LogLine(10, "next")) == (False, False)
    assert place.fresh(LogLine(10, "next")) == (True, False), "the same words a second time"


def test_what_is_remembered_is_bounded() -> None:
    place = LogPlace()
    for n in range(REMEMBERED * 2):
        place.fresh(LogLine(n, "x"))
    assert place.since == REMEMBERED
    place.fresh(LogLine(10**12, "much later"))
    assert place.since == 10**12 - SLACK


def test_what_was_before_the_last_lines_is_not_asked_for() -> None:
    """`--lines 5` begins in the middle of a log."""
    place = LogPlace(middle=True)
    place.fresh(LogLine(SLACK * 9, "x"))
    place.fresh(LogLine(SLACK * 9 + 5, "y"))
    assert place.since == SLACK * 9
