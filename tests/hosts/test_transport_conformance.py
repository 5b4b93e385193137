# ruff: noqa: F401, F811 - fixtures are imported and named again as arguments
"""What asyncssh, paramiko and local all must do, against a real sshd (local: this machine)."""

from __future__ import annotations

import asyncio

import pytest

from edxconsole.errors import CommandFailed, CommandTimedOut, ConnectionLost, StreamRefused
from edxconsole.transport.base import TcpEndpoint, Transport, UnixEndpoint
from tests.support.ssh.fixtures import lab, plain_sshd, reach
from tests.support.ssh.lab import Sshd
from tests.support.ssh.peers import Reach, echo, half_closer, tcp_server, unix_server, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("sshd", "unshare"),
    pytest.mark.parametrize("reach", ["asyncssh", "paramiko", "local"], indirect=True),
]


@pytest.fixture
async def host(reach: Reach, plain_sshd: Sshd) -> Transport:
    return await reach.connect(plain_sshd, become="sudo")


async def test_says_where_it_is(host: Transport, reach: Reach) -> None:
    assert host.connected
    assert isinstance(host, Transport)
    assert host.info.kind == reach.kind
    if reach.kind != "local":
        assert host.info.user == "ops"
        assert "OpenSSH" in host.info.server
        assert host.info.cipher == "aes128-gcm@openssh.com"


async def test_status_and_both_outputs(host: Transport) -> None:
    result = await host.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=10)
    assert (result.exit_status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")
    assert result.signal is None
    assert not result.ok


async def test_words_reach_the_command_as_they_are(host: Transport) -> None:
    words = ["", "a b", "$HOME", "'", '"', "*", ";id", "\n", "--", "ü", "\\"]
    result = await host.run(["printf", "%s|", *words], timeout=10)
    assert result.text == "".join(f"{w}|" for w in words)


async def test_death_by_signal(host: Transport) -> None:
    result = await host.run(["sh", "-c", "kill -TERM $$"], timeout=10)
    assert (result.exit_status, result.signal) == (None, "TERM")


async def test_stdin_and_bytes_that_are_no_text(host: Transport) -> None:
    sent = bytes(range(256)) * 8192 + b"\xff\xfe\n"
    result = await host.run(["cat"], timeout=20, stdin=sent, max_output=4 << 20)
    assert result.stdout == sent


async def test_a_command_that_ignores_its_stdin(host: Transport) -> None:
    result = await host.run(["true"], timeout=10, stdin=b"x" * (3 << 20))
    assert result.ok


async def test_both_outputs_big(host: Transport) -> None:
    script = "head -c 4000000 /dev/zero >&2 & head -c 4000000 /dev/zero; wait"
    result = await host.run(["sh", "-c", script], timeout=30, max_output=8 << 20)
    assert (len(result.stdout), len(result.stderr)) == (4_000_000, 4_000_000)


async def test_too_much_output_is_cut_and_the_command_killed(host: Transport, reach: Reach) -> None:
    result = await host.run(
        ["sh", "-c", f"exec yes cut-{reach.number(4710)}"], timeout=20, max_output=100_000
    )
    assert len(result.stdout) == 100_000
    assert result.signal == "KILL"
    assert await until(lambda: not reach.lab.alive(f"yes cut-{reach.number(4710)}"))


async def test_timeout_kills_the_command_on_the_host(host: Transport, reach: Reach) -> None:
    with pytest.raises(CommandTimedOut, match=r"web1: `sleep [0-9]*`.*was killed"):
        await host.run(["sleep", reach.number(4711)], timeout=0.3)
    assert await until(lambda: not reach.lab.alive(f"sleep {reach.number(4711)}"))
    assert (await host.run(["true"], timeout=10)).ok


async def test_timeout_kills_what_sudo_started(host: Transport, reach: Reach) -> None:
    with pytest.raises(CommandTimedOut, match="was killed"):
        await host.run(["sleep", reach.number(4712)], timeout=1, become="root")
    assert await until(lambda: not reach.lab.alive(f"sleep {reach.number(4712)}"))


async def test_a_daemon_left_behind_does_not_hold_the_answer(host: Transport) -> None:
    result = await host.run(["sh", "-c", "sleep 20 & echo started"], timeout=15)
    assert (result.exit_status, result.stdout) == (0, b"started\n")
    assert result.seconds < 10


async def test_a_program_that_is_not_there(host: Transport) -> None:
    with pytest.raises(CommandFailed, match=r"web1: /no/such can't be started"):
        await host.run(["/no/such"], timeout=10)
    result = await host.run(["sh", "-c", "no-such-program"], timeout=10)
    assert result.exit_status == 127


async def test_become(host: Transport) -> None:
    assert (await host.run(["id", "-un"], timeout=10, become="root")).stdout == b"root\n"
    assert (await host.run(["false"], timeout=10, become="root")).exit_status == 1


async def test_process_streams_and_ends(host: Transport) -> None:
    process = await host.process(["sh", "-c", 'while read x; do echo "got $x"; done; exit 5'])
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        await process.stdin.drain()
        assert await asyncio.wait_for(process.stdout.read(100), 10) == b"got " + word + b"\n"
    process.stdin.write_eof()
    assert await asyncio.wait_for(process.stdout.read(), 10) == b""
    assert await asyncio.wait_for(process.wait(), 10) == 5
    await process.close()
    await process.close()


async def test_process_pushes_back_and_loses_nothing(host: Transport) -> None:
    """The writer on the host stands still while nobody reads."""
    size = 24 << 20
    process = await host.process(["sh", "-c", f"head -c {size} /dev/zero; echo done >&2"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.stderr.read(10), 1)
    total = 0
    while data := await asyncio.wait_for(process.stdout.read(1 << 20), 20):
        total += len(data)
    assert total == size
    assert await asyncio.wait_for(process.stderr.read(10), 10) == b"done\n"
    await process.close()


async def test_stderr_that_nobody_reads_stalls_nothing(host: Transport) -> None:
    process = await host.process(["sh", "-c", "head -c 6000000 /dev/zero >&2; echo alive"])
    assert await asyncio.wait_for(process.stdout.read(100), 20) == b"alive\n"
    await process.close()


async def test_closing_a_process_ends_it(host: Transport, reach: Reach) -> None:
    process = await host.process(["sleep", reach.number(4713)])
    await process.close()
    assert await asyncio.wait_for(process.wait(), 10) is None
    assert await until(lambda: not reach.lab.alive(f"sleep {reach.number(4713)}"))


async def test_tcp_stream_both_ways_and_half_closed(host: Transport) -> None:
    sent = bytes(range(256)) * 8000
    async with tcp_server(echo) as port:
        stream = await host.open_stream(TcpEndpoint("127.0.0.1", port))
        stream.writer.write(sent)
        got = b""
        while len(got) < len(sent):
            got += await asyncio.wait_for(stream.reader.read(65536), 10)
        stream.writer.write_eof()
        got += await asyncio.wait_for(stream.reader.read(), 10)
        stream.writer.close()
        await stream.writer.wait_closed()
    assert got == sent + b"bye"
    assert stream.rung in ("direct-tcpip", "local")


async def test_stream_half_closed_by_the_server(host: Transport) -> None:
    async with tcp_server(half_closer) as port:
        stream = await host.open_stream(TcpEndpoint("127.0.0.1", port))
        assert await asyncio.wait_for(stream.reader.read(), 10) == b"hello"
        stream.writer.write(b"still here")
        await stream.writer.drain()
        stream.writer.write_eof()
        assert await until(lambda: getattr(half_closer, "heard", b"") == b"still here")
        half_closer.heard = b""  # type: ignore[attr-defined]
        stream.writer.close()
        await stream.writer.wait_closed()
        with pytest.raises(ConnectionLost):
            stream.writer.write(b"x")


async def test_unix_stream(host: Transport, reach: Reach) -> None:
    async with unix_server(echo, reach.lab.directory / f"open-{reach.kind}.sock") as path:
        stream = await host.open_stream(UnixEndpoint(str(path)))
        stream.writer.write(b"ping")
        stream.writer.write_eof()
        assert await asyncio.wait_for(stream.reader.read(), 10) == b"pingbye"
        stream.writer.close()
        await stream.writer.wait_closed()
    rungs = {"asyncssh": "direct-streamlocal", "paramiko": "relay", "local": "local"}
    assert stream.rung == rungs[reach.kind]


async def test_streams_that_can_not_be_opened(host: Transport) -> None:
    with pytest.raises(StreamRefused, match=r"web1: 127\.0\.0\.1:1 .*refused.*; .*listens"):
        await host.open_stream(TcpEndpoint("127.0.0.1", 1))
    with pytest.raises(StreamRefused, match=r"web1: unix:/no/such\.sock .*No such file.*; see whether"):
        await host.open_stream(UnixEndpoint("/no/such.sock"))


async def test_lost_when_closed(host: Transport) -> None:
    waiting = asyncio.create_task(host.wait_lost())
    await asyncio.sleep(0)
    await host.close()
    assert "closed" in await asyncio.wait_for(waiting, 5)
    assert not host.connected
    with pytest.raises(ConnectionLost):
        await host.run(["true"], timeout=5)
    await host.close()
