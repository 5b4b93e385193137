"""A host without Python gets the sh probe: same frames, marked shell, in dash, bash and busybox ash."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from edxconsole.probe.frames import Beat, Listeners, LogChunk, Note, Processes, Vitals
from tests.unit.probe.probing import Start, Watch

SHELLS = ["dash", "bash", "busybox"]
MASKED = ["curl", "-s", "--user", "u:s3cr3tword", "--password=s3cr3tword", "http://u:s3cr3tword@h/"]


@pytest.fixture(params=SHELLS)
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has that sh and the usual tools, but no Python."""
    shell = shutil.which(request.param)
    assert shell, f"{request.param} is not installed"
    tools = tmp_path / "bin"
    tools.mkdir()
    if request.param == "busybox":
        subprocess.run([shell, "--install", "-s", str(tools)], check=True)
    else:
        for folder in ("/bin", "/usr/bin"):
            for entry in os.scandir(folder):
                if not entry.name.startswith(("python", "sh")) and not (tools / entry.name).exists():
                    (tools / entry.name).symlink_to(entry.path)
        (tools / "sh").symlink_to(shell)
    return {"PATH": str(tools), "HOME": "/"}


async def shell_probe(start: Start, bare: dict[str, str]) -> Watch:
    watch = await start(None, env=bare)
    assert watch.channel.hello.shell
    assert watch.channel.hello.python == ""
    return watch


async def test_essentials(start: Start, bare: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        watch = await shell_probe(start, bare)
        await watch.until(Note, lambda note: note.what == "python")
        me = psutil.Process()
        row = await watch.until(Processes, lambda p: any(r.pid == me.pid for r in p.new))
        mine = next(r for r in row.new if r.pid == me.pid)
        assert mine.ppid == me.ppid()
        assert mine.uid == me.uids().effective
        hello = watch.channel.hello
        assert abs(hello.boot + mine.start / hello.ticks - me.create_time()) < 2
        port = server.getsockname()[1]
        await watch.until(
            Listeners, lambda x: any(r.port == port and r.address == "127.0.0.1" for r in x.rows)
        )
        vitals = await watch.until(Vitals)
        assert abs(vitals.mem_total - psutil.virtual_memory().total // 1024) <= 4
        assert any(disk.mount == "/" for disk in vitals.disks)
        assert vitals.users[0] == "root"
        first = await watch.until(Beat)
        await watch.until(Beat, lambda b: b.n > first.n)


async def test_new_and_gone_processes_and_masks(start: Start, bare: dict[str, str]) -> None:
    watch = await shell_probe(start, bare)
    await watch.until(Beat)
    child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 60; :", *MASKED)
    came = await watch.until(Processes, lambda p: any(r.pid == child.pid for r in p.new))
    argv = next(r for r in came.new if r.pid == child.pid).argv
    assert argv[:3] == ("sh", "-c", "sleep 60; :")
    assert "s3cr3tword" not in "".join(argv[4:6] + argv[7:])
    psutil.Process(child.pid).children()[0].kill()
    await child.wait()
    await watch.until(Processes, lambda p: child.pid in p.gone)


async def test_files(start: Start, bare: dict[str, str], tmp_path: Path) -> None:
    watch = await shell_probe(start, bare)
    log = tmp_path / "a b.log"
    log.write_bytes(b"one\ntwo\nthree\n")
    assert await watch.channel.read(str(log)) == b"one\ntwo\nthree\n"
    assert (await watch.channel.stat(str(log))).error == ""
    assert (await watch.channel.stat(str(tmp_path / "no"))).error.startswith("ENOENT")
    assert (await watch.channel.follow(str(log), id=5, last=2)).error == ""
    await watch.until(LogChunk, lambda c: c.data == "three\n" and c.id == 5)
    with log.open("ab") as out:
        out.write(b'four "\\ \x1b]0;x\x07 \xff\n')
    chunk = await watch.until(LogChunk, lambda c: c.data.startswith("four"))
    assert chunk.data == 'four "\\ ?]0;x? ?\n'
    assert (chunk.offset, chunk.length) == (14, 17)
    log.rename(tmp_path / "a b.log.1")
    log.write_bytes(b"five\n")
    await watch.until(LogChunk, lambda c: c.mark == "rotated")
    await watch.until(LogChunk, lambda c: c.data == "five\n" and c.offset == 0)
    assert (await watch.channel.unfollow(5)).error == ""
    assert (await watch.channel.request("write", path="/x")).error.startswith("EROFS")


async def test_leaves_nothing_behind(start: Start, bare: dict[str, str], tmp_path: Path) -> None:
    watch = await shell_probe(start, bare)
    log = tmp_path / "x.log"
    log.touch()
    await watch.channel.follow(str(log), id=1)
    await watch.until(Beat)
    root = psutil.Process(watch.channel.hello.pid)
    family = [root, *root.children(recursive=True)]
    assert any(p.name() in ("tail", "busybox") for p in family)
    await watch.close()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 5)
    assert not alive
