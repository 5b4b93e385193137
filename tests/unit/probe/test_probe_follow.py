"""Files followed through everything that happens to logs: no line lost, none doubled, all marked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from edxconsole.probe.frames import Beat, LogChunk, Note
from tests.unit.probe.probing import PYTHONS, Start, Watch

OLDEST_AND_NEWEST = [PYTHONS[0], PYTHONS[-1]] if PYTHONS else []


def chunks(watch: Watch, id: int = 1) -> list[LogChunk]:
    return [c for c in watch.of(LogChunk) if c.id == id]


def joined(watch: Watch, id: int = 1) -> str:
    """What was read, each file's pieces in the order of their files' first appearance."""
    files: dict[tuple[int, int, int], list[str]] = {}
    generation = 0
    for chunk in chunks(watch, id):
        if chunk.mark == "truncated":
            generation += 1
        files.setdefault((generation, chunk.device, chunk.inode), []).append(chunk.data)
    return "".join("".join(parts) for parts in files.values())


async def until_all(watch: Watch, last: str, id: int = 1) -> None:
    """Until the line `last` has arrived."""
    async with asyncio.timeout(30):
        while not any(last in c.data for c in chunks(watch, id)):
            await watch.until(LogChunk, since=len(watch.seen))


class Writer(threading.Thread):
    """Writes numbered lines in a thread, reopening when told, as a logging daemon does."""

    def __init__(self, path: Path, lines: int, pause: float) -> None:
        super().__init__()
        self.path = path
        self.lines = lines
        self.pause = pause
        self.reopen = threading.Event()

    def run(self) -> None:
        out = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number in range(self.lines):
            if self.reopen.is_set():
                self.reopen.clear()
                os.close(out)
                out = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.write(out, b"line %06d of a log that is written fast\n" % number)
            if number % 20 == 19:
                time.sleep(self.pause)
        os.close(out)


def numbers(text: str) -> list[int]:
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("line ")]


@pytest.mark.parametrize("python", OLDEST_AND_NEWEST, ids=lambda p: p.split("/")[-3])
async def test_rename_with_a_late_writer_loses_nothing(start: Start, python: str, tmp_path: Path) -> None:
    log = tmp_path / "tracking.log"
    log.touch()
    watch = await start(python)
    assert (await watch.channel.follow(str(log), id=1)).error == ""
    writer = Writer(log, 12000, 0.005)
    writer.start()
    for turn in range(4):
        await asyncio.sleep(0.6)
        log.rename(tmp_path / f"tracking.log-2026110{turn}-12")
        log.touch()
        await asyncio.sleep(0.3)
        writer.reopen.set()
    await asyncio.to_thread(writer.join)
    await until_all(watch, "line 011999")
    await asyncio.sleep(0.5)
    got = sorted(n for c in [joined(watch)] for n in numbers(c))
    assert got == list(range(12000))
    assert [c.mark for c in chunks(watch) if c.mark] == ["start"] + ["rotated"] * 4
    assert all(c.lost == 0 for c in chunks(watch))


@pytest.mark.parametrize("python", OLDEST_AND_NEWEST, ids=lambda p: p.split("/")[-3])
async def test_copytruncate_recovers_from_the_copy(start: Start, python: str, tmp_path: Path) -> None:
    """Whatever was written between our last look and the truncation is read from the copy."""
    log = tmp_path / "edx.log"
    log.touch()
    watch = await start(python)
    await watch.channel.follow(str(log), id=1)
    sent: list[str] = []
    for turn in range(6):
        with log.open("a") as out:
            for i in range(300):
                sent.append(f"line {turn * 1000 + i} x\n")
                out.write(sent[-1])
        if turn % 2:
            await asyncio.sleep(0.2)
            with log.open("a") as out:
                sent.append(f"line {turn * 1000 + 999} just before the copy\n")
                out.write(sent[-1])
        await asyncio.to_thread(shutil.copy2, log, tmp_path / f"edx.log-20261101-{turn}")
        since = len(watch.seen)
        os.truncate(log, 0)
        # One rotation between two looks; what was not looked at before it leaves no mark to wait for.
        with contextlib.suppress(TimeoutError):
            await watch.until(LogChunk, lambda c: c.mark == "truncated", since=since, timeout=2)
    with log.open("a") as out:
        sent.append("line 99999 end\n")
        out.write(sent[-1])
    await until_all(watch, "line 99999")
    got = numbers("".join(c.data for c in chunks(watch)))
    assert sorted(got) == sorted(numbers("".join(sent)))
    assert "truncated" in {c.mark for c in chunks(watch)}


async def test_truncation_without_a_copy_says_what_is_lost(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one\n")
    watch = await start()
    await watch.channel.follow(str(log), id=1, whole=True)
    await until_all(watch, "one")
    os.truncate(log, 0)
    await watch.until(LogChunk, lambda c: c.mark == "truncated")
    with log.open("a") as out:
        out.write("two\n")
    chunk = await watch.until(LogChunk, lambda c: c.data == "two\n")
    assert chunk.offset == 0


async def test_rewritten_longer_is_seen_as_truncated(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("one line that was read\n")
    watch = await start()
    await watch.channel.follow(str(log), id=1, whole=True)
    await until_all(watch, "one line")
    log.write_text("something else, longer than what was there before\n")
    await watch.until(LogChunk, lambda c: c.mark == "truncated" and c.offset == 0)
    await until_all(watch, "something else")


async def test_missing_created_removed_and_back(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "later.log"
    watch = await start()
    await watch.channel.follow(str(log), id=1)
    await watch.until(LogChunk, lambda c: c.mark == "missing")
    log.write_text("born\n")
    back = await watch.until(LogChunk, lambda c: c.mark == "back")
    await until_all(watch, "born")
    log.unlink()
    await watch.until(LogChunk, lambda c: c.mark == "missing", since=watch.seen.index(back))
    log.write_text("again\n")
    await until_all(watch, "again")


@pytest.mark.root
async def test_denied_is_said_with_its_path(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "secret.log"
    log.write_text("x\n")
    log.chmod(0)
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        os.chmod(parent, 0o755)
    watch = await start(
        "/usr/bin/python3", prefix=["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534"]
    )
    await watch.channel.follow(str(log), id=1)
    await watch.until(LogChunk, lambda c: c.mark == "denied")
    note = await watch.until(Note, lambda n: n.what == "file")
    assert (note.path, note.errno) == (str(log), 13)
    log.chmod(0o644)
    await watch.until(LogChunk, lambda c: c.mark == "back")


async def test_last_lines_and_resume(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {n} .\n" for n in range(1000)))
    watch = await start()
    await watch.channel.follow(str(log), id=1, last=3)
    await until_all(watch, "line 999")
    assert numbers(joined(watch)) == [997, 998, 999]
    end = chunks(watch)[-1]
    where = (end.device, end.inode, end.offset + end.length)
    await watch.channel.unfollow(1)
    with log.open("a") as out:
        out.write("line 1000 .\n")
    log.rename(tmp_path / "a.log.2")
    (tmp_path / "a.log.1").write_text("line 1001 .\n")
    log.write_text("line 1002 .\n")
    await watch.channel.follow(str(log), id=2, resume=where)
    await until_all(watch, "line 1002", id=2)
    assert numbers("".join(c.data for c in chunks(watch, 2))) == [1000, 1001, 1002]
    await watch.channel.follow(str(log), id=3, resume=(1, 2, 3))
    gap = await watch.until(LogChunk, lambda c: c.id == 3)
    assert gap.mark == "gap"


async def test_bytes_that_are_no_text(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "\u00e9 ]x.log"
    log.touch()
    watch = await start()
    assert (await watch.channel.follow(str(log), id=1)).error == ""
    with log.open("ab") as out:
        out.write(b"\xff\xfe \x1b]52;c;x\x07 \x00 \xe2\x82")
        out.flush()
        await asyncio.sleep(0.3)
        out.write("\u20ac"[:0].encode() + b"\xac\n")
    await until_all(watch, "\u20ac\n")
    assert joined(watch) == "\ufffd\ufffd \x1b]52;c;x\x07 \x00 \u20ac\n"
    assert sum(c.length for c in chunks(watch)) == log.stat().st_size


async def test_a_flood_is_whole_and_other_frames_come_in_between(start: Start, tmp_path: Path) -> None:
    """40 MB of control characters, which JSON makes six times as long, in frames of at most 64 KiB."""
    log = tmp_path / "flood.log"
    line = b"\x01" * 50 + b" 0123456789" * 10 + b"\n"
    log.write_bytes(line * 100_000)
    watch = await start()
    await watch.channel.follow(str(log), id=1, whole=True)
    size = log.stat().st_size
    async with asyncio.timeout(40):
        while sum(c.length for c in chunks(watch)) < size:
            await watch.until(LogChunk, since=len(watch.seen))
    assert sum(len(c.data) for c in chunks(watch)) == size
    assert {c.data.count("\x01") % 50 for c in chunks(watch)} == {0}
    seen = len(watch.seen)
    await watch.until(Beat, since=seen)
    assert watch.of(Beat)[-1].rss < 48 * 1024


async def test_read_stat_glob_search_seek(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "edx.log"
    stamps = [f"2026-11-22 10:{n // 60:02d}:{n % 60:02d},123 INFO line {n} .\n" for n in range(3600)]
    log.write_text("".join(stamps))
    watch = await start()
    channel = watch.channel
    assert await channel.read(str(log)) == log.read_bytes()
    assert await channel.read(str(log), offset=-10, length=100) == log.read_bytes()[-10:]
    found = (await channel.search(str(log), "LINE 77", fold=True, limit=3)).value
    assert isinstance(found, list)
    assert [text.split()[-2] for _, text in found] == ["779", "778", "777"]
    assert log.read_text()[found[0][0] :].startswith(found[0][1])
    when = time.mktime((2026, 11, 22, 10, 30, 0, 0, 0, -1))
    sought = (await channel.seek(str(log), when)).value
    assert sought == {"offset": log.read_text().index(stamps[1800]), "size": log.stat().st_size}
    assert (await channel.stat(str(tmp_path / "no"))).error == f"ENOENT {tmp_path / 'no'}"
    assert (await channel.request("read", path="/dev/zero")).error == "EINVAL /dev/zero"
    (tmp_path / "b.log").touch()
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.log", os.O_CREAT))
    globbed = (await channel.glob(str(tmp_path / "*.log"))).value
    assert isinstance(globbed, list)
    assert [x["path"] for x in globbed] == [str(tmp_path / "b.log"), str(log)]
