"""The probe starts from source over stdin on every Python the machine has, and ends when it should."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from edxconsole.errors import NoInterpreter
from edxconsole.probe.decode import Decoder
from edxconsole.probe.frames import Beat, Listeners, LogChunk, Note, Processes, Vitals
from edxconsole.probe.launcher import AGENT, packed_agent, python_command, source
from tests.unit.probe.probing import PYTHONS, ChildTransport, Start


@pytest.mark.parametrize("python", PYTHONS, ids=lambda p: p.split("/")[-3])
async def test_first_frames_on_each_python(start: Start, python: str) -> None:
    watch = await start(python)
    hello = watch.channel.hello
    assert python.split("/")[-3].startswith(hello.python)
    assert {"netlink", "supervisor", "files"} <= hello.caps
    processes = await watch.until(Processes)
    assert processes.full
    found = {row.pid for row in processes.new}
    while hello.pid not in found:  # many processes are told in several frames
        found |= {row.pid for row in (await watch.until(Processes)).new}
    vitals = await watch.until(Vitals)
    assert vitals.disks
    assert vitals.mem_total > vitals.mem_available > 0
    await watch.until(Listeners)
    first = await watch.until(Beat)
    second = await watch.until(Beat, lambda b: b.n > first.n)
    assert second.cpu_ms >= first.cpu_ms > 0
    echo = await watch.channel.echo()
    assert abs(echo.skew) < 0.5


async def test_without_python_and_without_sh_tools_it_says_so(start: Start, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    with pytest.raises(NoInterpreter, match="install python3"):
        await start(None, env={"PATH": str(tools)})


async def test_a_broken_python_is_passed_over(start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    watch = await start(None, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert not watch.channel.hello.shell


async def test_source_is_neither_on_disk_nor_in_argv(start: Start) -> None:
    watch = await start()
    process = psutil.Process(watch.channel.hello.pid)
    assert sum(map(len, process.cmdline())) < 400
    assert process.cwd() == "/"
    assert not [f.path for f in process.open_files() if not f.path.startswith("/proc/")]


async def test_login_noise_is_passed_over(start: Start) -> None:
    watch = await start(prefix=["sh", "-c", 'echo "*** motd ***"; echo oops >&2; exec "$@"', "sh"])
    await watch.until(Beat)


async def test_end_of_input_ends_it(start: Start) -> None:
    watch = await start()
    process = psutil.Process(watch.channel.hello.pid)
    await watch.channel.close()
    await asyncio.to_thread(process.wait, 5)


@pytest.mark.parametrize("seconds", [2])
async def test_silence_ends_it(seconds: int) -> None:
    """The dead man's switch, with its 30 s shortened."""
    program = b"".join(source(name) for name in AGENT).replace(
        b"DEAD_AFTER = 30.0", b"DEAD_AFTER = %d.0" % seconds
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys;exec(compile(sys.argv[1],'p','exec'),{'__name__':'__probe__'})",
        program.decode() + "main()\n",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(20):
        assert await child.wait() == 0


async def test_a_consumer_that_stops_reading_does_not_make_it_grow(start: Start, tmp_path: Path) -> None:
    """With nobody reading its pipe it holds still: bounded memory, no CPU, and it goes on afterwards."""
    log = tmp_path / "big.log"
    log.write_bytes(b"0123456789" * 10 * 1000 * 100)
    transport = ChildTransport()
    process = await transport.process(python_command(sys.executable, None, True))
    process.stdin.write(packed_agent())
    process.stdin.write(
        json.dumps({"c": "follow", "id": 1, "follow": 1, "path": str(log), "whole": True}).encode() + b"\n"
    )
    try:
        await asyncio.sleep(3)
        probe = psutil.Process(process.child.pid)
        before = probe.cpu_times()
        await asyncio.sleep(2)
        after = probe.cpu_times()
        assert after.user + after.system - before.user - before.system < 0.2
        assert probe.memory_info().rss < 40 << 20
        size, decoder = 0, Decoder()
        async with asyncio.timeout(20):
            rest = b""
            while size < log.stat().st_size:
                lines = (rest + await process.stdout.read(1 << 18)).split(b"\n")
                rest = lines.pop()
                for one in lines:
                    frame = decoder.decode(one)
                    size += frame.length if isinstance(frame, LogChunk) else 0
        assert size == log.stat().st_size
    finally:
        await transport.close()


@pytest.mark.parametrize("read_only", [True, False])
async def test_there_is_no_verb_that_writes(start: Start, read_only: bool, tmp_path: Path) -> None:
    watch = await start(read_only=read_only)
    assert watch.channel.hello.read_only is read_only
    for verb in ("write", "kill", "exec", "start", "stop", "restart", "signal", "remove"):
        reply = await watch.channel.request(verb, path=str(tmp_path / "x"), pid=1)
        assert reply.error.startswith("EROFS" if read_only else "ENOSYS")
    assert (await watch.channel.request("nonsense")).error.startswith("ENOSYS")
    assert (await watch.channel.request("stat")).error.startswith("EINVAL")
    assert not os.listdir(tmp_path)


async def test_bad_commands_do_not_end_it(start: Start) -> None:
    watch = await start()
    watch.channel._process.stdin.write(b'nonsense\n[]\n{"c":[]}\n{"c":"follow"}\n\xff\n{"c":"__init__"}\n')
    assert (await watch.channel.request("stat", path="/")).error == ""
    assert not watch.error


@pytest.mark.root
@pytest.mark.skipif(shutil.which("sudo") is None, reason="left out: sudo is not installed")
async def test_sudo_refused_is_a_note_and_no_failure(start: Start) -> None:
    watch = await start(
        "/usr/bin/python3",
        become="sudo",
        prefix=["setpriv", "--reuid", "65534", "--clear-groups", "--regid", "65534"],
    )
    assert watch.channel.hello.uid == 65534
    note = await watch.until(Note, lambda n: n.what == "sudo")
    assert "NOPASSWD" in note.text


async def test_hostile_arguments(start: Start) -> None:
    watch = await start()
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", "sleep 600; :", "\n\r\x1b[31m", "\u202e", b"\xff\xfe\x80", "a" * 100_000
    )
    try:
        frame = await watch.until(Processes, lambda p: any(r.pid == child.pid for r in p.new))
        argv = next(r.argv for r in frame.new if r.pid == child.pid)
        assert argv[3:6] == ("\n\r\x1b[31m", "\u202e", "\ufffd\ufffd\ufffd")
        assert sum(map(len, argv)) < 5000
    finally:
        for one in psutil.Process(child.pid).children():
            one.kill()
        await child.wait()
