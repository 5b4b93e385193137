# ruff: noqa: F401, F811 - fixtures are imported and named again as arguments
"""What servers do not permit, and hosts that die: each is said in a sentence, in time."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from edxconsole.errors import (
    CommandFailed,
    ConnectionLost,
    HandshakeDropped,
    StreamRefused,
    TransportError,
)
from edxconsole.transport.base import TcpEndpoint, UnixEndpoint
from edxconsole.transport.pool import Limits
from tests.support.ssh.fixtures import lab, plain_sshd, reach
from tests.support.ssh.lab import Sshd, SshLab
from tests.support.ssh.peers import Reach, echo, tcp_server, unix_server, until

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("sshd", "unshare", "sudo"),
    pytest.mark.parametrize("reach", ["asyncssh", "paramiko"], indirect=True),
]


async def test_forty_hosts_on_one_sshd_lose_none(reach: Reach, lab: SshLab) -> None:
    """Forty at once on sshd's default lost half (ssh.md section 8); eight go at a time."""
    server = lab.sshd("MaxStartups 10:30:100")
    transports = [reach.transport(reach.host(server, f"app{i}")) for i in range(40)]
    await asyncio.gather(*(t.connect() for t in transports))
    assert all(t.connected for t in transports)
    assert server.logged.count("drop connection") < 10


async def test_a_dropped_handshake_is_tried_again(reach: Reach, lab: SshLab) -> None:
    """More at once than the server takes: drops happen, and everyone gets in."""
    server = lab.sshd("MaxStartups 2:100:2")
    reach.limits = Limits(handshakes_per_place=6, dropped_retries=8, dropped_pause=0.2)
    transports = [reach.transport(reach.host(server, f"app{i}")) for i in range(12)]
    await asyncio.gather(*(t.connect() for t in transports))
    assert all(t.connected for t in transports)
    assert "drop connection" in server.logged


async def test_one_that_always_hangs_up_is_dropped_in_the_end(reach: Reach, plain_sshd: Sshd) -> None:
    reach.limits = Limits(dropped_retries=2, dropped_pause=0.05)
    seen = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        writer.close()

    async with tcp_server(hang_up) as port:
        with pytest.raises(HandshakeDropped, match=r"web1: .*hung up before login; .*MaxStartups"):
            await reach.connect(plain_sshd, address="127.0.0.1", port=port)
    assert seen == 3


async def test_a_server_that_says_nothing_times_out(reach: Reach, plain_sshd: Sshd) -> None:
    reach.limits = Limits(login_timeout=1, dropped_retries=0)
    stop = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    async with tcp_server(silent) as port:
        with pytest.raises(TransportError, match=r"web1: "):
            await asyncio.wait_for(reach.connect(plain_sshd, address="127.0.0.1", port=port), 25)
        stop.set()
        await asyncio.sleep(0.1)


async def test_two_sessions_are_enough(reach: Reach, lab: SshLab) -> None:
    """With MaxSessions 2: a probe, commands at once, a forward and a relay."""
    server = lab.sshd("MaxSessions 2")
    host = await reach.connect(server)
    probe = await host.process(["cat"])
    results = await asyncio.gather(*(host.run(["echo", str(i)], timeout=30) for i in range(6)))
    assert [r.text for r in results] == [f"{i}\n" for i in range(6)]
    async with unix_server(echo, lab.directory / f"two-{reach.kind}.sock") as path:
        stream = await host.open_stream(UnixEndpoint(str(path)))
        stream.writer.write_eof()
        assert await asyncio.wait_for(stream.reader.read(), 10) == b"bye"
        stream.writer.close()
        await stream.writer.wait_closed()
    probe.stdin.write(b"still here")
    assert await asyncio.wait_for(probe.stdout.read(100), 10) == b"still here"
    await probe.close()


async def test_no_session_at_all(reach: Reach, lab: SshLab) -> None:
    host = await reach.connect(lab.sshd("MaxSessions 0"))
    with pytest.raises(CommandFailed, match=r"web1: sshd opened no session.*MaxSessions"):
        await host.run(["true"], timeout=10)


async def test_all_sessions_busy_is_said(reach: Reach, plain_sshd: Sshd) -> None:
    reach.limits = Limits(session_wait=0.3)
    host = await reach.connect(plain_sshd)
    held = [await host.process(["cat"]) for _ in range(2)]
    with pytest.raises(CommandFailed, match="its 2 sessions were busy"):
        await host.run(["true"], timeout=10)
    await held[0].close()
    assert (await host.run(["true"], timeout=10)).ok
    await held[1].close()


async def test_relay_where_forwarding_is_forbidden(reach: Reach, lab: SshLab) -> None:
    host = await reach.connect(lab.sshd("AllowTcpForwarding no", "AllowStreamLocalForwarding no"))
    sent = bytes(range(256)) * 4000
    async with tcp_server(echo) as port, unix_server(echo, lab.directory / f"r-{reach.kind}.sock") as path:
        for endpoint in (TcpEndpoint("127.0.0.1", port), UnixEndpoint(str(path))):
            for _ in range(2):
                stream = await host.open_stream(endpoint, timeout=15)
                stream.writer.write(sent)
                stream.writer.write_eof()
                assert await asyncio.wait_for(stream.reader.read(), 20) == sent + b"bye"
                assert stream.rung == "relay"
                stream.writer.close()
                await stream.writer.wait_closed()
    with pytest.raises(StreamRefused, match="Connection refused"):
        await host.open_stream(TcpEndpoint("127.0.0.1", 1), timeout=15)


async def test_relay_through_sudo(reach: Reach, lab: SshLab, plain_sshd: Sshd) -> None:
    async with unix_server(echo, lab.directory / f"s-{reach.kind}.sock", mode=0o700) as path:
        endpoint = UnixEndpoint(str(path), owner="root")
        host = await reach.connect(plain_sshd, become="sudo")
        for _ in range(2):
            stream = await host.open_stream(endpoint, timeout=15)
            stream.writer.write(b"ping")
            assert await asyncio.wait_for(stream.reader.read(4), 10) == b"ping"
            assert stream.rung == "sudo-relay"
            stream.writer.close()
            await stream.writer.wait_closed()
        for user, become in (("ops", None), ("dev", "sudo")):
            other = await reach.connect(plain_sshd, f"{user}1", user=user, become=become)
            wanted = rf"{user}1: unix:.* Permission denied; .*{user} ALL=\(root\) NOPASSWD: /usr/bin/socat"
            with pytest.raises(StreamRefused, match=wanted):
                await other.open_stream(endpoint, timeout=15)


async def test_sudo_refused_names_the_rule(reach: Reach, plain_sshd: Sshd) -> None:
    host = await reach.connect(plain_sshd, user="dev")
    wanted = r"web1: sudo did not let dev run supervisorctl .*dev ALL=\(root\) NOPASSWD: .*ctl restart lms"
    with pytest.raises(CommandFailed, match=wanted):
        await host.run(["supervisorctl", "restart", "lms"], timeout=15, become="root")
    with pytest.raises(CommandFailed, match="unknown user"):
        await (await reach.connect(plain_sshd, "web2")).run(["id"], timeout=15, become="nobody-here")


async def test_killed_in_the_middle(reach: Reach, lab: SshLab) -> None:
    server = lab.sshd()
    host = await reach.connect(server)
    process = await host.process(["cat"])
    running = asyncio.create_task(host.run(["sleep", "60"], timeout=60))
    lost = asyncio.create_task(host.wait_lost())
    reading = asyncio.create_task(process.stdout.read(10))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await asyncio.to_thread(lab.signal_sessions, "ops", "KILL")
    assert "host" in await asyncio.wait_for(lost, 5)
    assert time.monotonic() - began < 5
    with pytest.raises(ConnectionLost, match="web1: "):
        await asyncio.wait_for(running, 5)
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(reading, 5)
    assert await asyncio.wait_for(process.wait(), 5) is None
    assert not host.connected
    with pytest.raises(ConnectionLost):
        await host.open_stream(TcpEndpoint("127.0.0.1", 1))
    await process.close()


async def test_frozen_host_is_lost_by_keepalive(reach: Reach, lab: SshLab) -> None:
    reach.limits = Limits(keepalive_interval=0.5, keepalive_count=2)
    server = lab.sshd()
    host = await reach.connect(server)
    await asyncio.sleep(1.2)
    assert host.connected
    try:
        await asyncio.to_thread(lab.signal_sessions, "ops", "STOP")
        assert "silent" in await asyncio.wait_for(host.wait_lost(), 10)
    finally:
        await asyncio.to_thread(lab.signal_sessions, "ops", "CONT")
        await asyncio.to_thread(lab.signal_sessions, "ops", "KILL")
    assert not host.connected


async def test_lost_jump_host_loses_who_is_behind_it_and_comes_back(reach: Reach, lab: SshLab) -> None:
    bastion, target = lab.sshd(), lab.sshd()
    reach.host(bastion, "bastion", user="dev")
    host = reach.host(target, "app1", jump="bastion")
    reach.known(bastion, target)
    first = reach.transport(host)
    await first.connect()
    await asyncio.to_thread(lab.signal_sessions, "dev", "KILL")
    assert await asyncio.wait_for(first.wait_lost(), 10)
    again = reach.transport(host)
    await again.connect()
    assert (await again.run(["true"], timeout=15)).ok
    assert await until(lambda: bastion.logged.count("Accepted publickey for dev") == 2)


async def test_cancelled_while_connecting_leaves_nothing(reach: Reach, lab: SshLab) -> None:
    server = lab.sshd()
    host = reach.transport(reach.host(server))
    task = asyncio.create_task(host.connect())
    await asyncio.sleep(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await host.close()
    assert not host.connected
    assert (await (await reach.connect(server, "web2")).run(["true"], timeout=15)).ok
