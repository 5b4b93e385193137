"""The transport's parts that need no server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from edxconsole.errors import AuthenticationFailed, HostUnreachable, InventoryError
from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import SilentPrompter, UnixEndpoint
from edxconsole.transport.command import PidLine, become_argv, sudoers_line
from edxconsole.transport.knock import Rhythm, returned
from edxconsole.transport.known_hosts import KnownHosts, fingerprint, key_kind
from edxconsole.transport.pool import ConnectionPool, JumpLink, Limits
from edxconsole.transport.relay import sudo_argv
from edxconsole.transport.ssh_cache import SshConfigCache
from edxconsole.transport.ssh_resolve import check_name, expand, resolve, split_jump
from edxconsole.transport.streams import ByteQueue

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIMPfuDImMLQXtSHF6rebIqd6F1ikFS/8lo+c8obYICyE"


def test_importing_the_contract_and_the_factory_imports_no_ssh_library() -> None:
    script = (
        "import sys, edxconsole.transport.base, edxconsole.transport.factory;"
        "print([m for m in ('asyncssh', 'paramiko', 'cryptography') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "a b", "$(id)", "a;b", "`x`", "a'b", "", "a\nb"])
def test_hostile_names(name: str) -> None:
    with pytest.raises(InventoryError, match="not allowed"):
        check_name(name)


def test_jump_specs() -> None:
    assert split_jump("ops@bastion:2222") == ("ops", "bastion", 2222)
    assert split_jump("ssh://[2001:db8::1]:22") == (None, "2001:db8::1", 22)
    with pytest.raises(InventoryError):
        split_jump("-oX@y")


def test_tokens() -> None:
    assert expand("nc %h %p %%", {"h": "a", "p": "22", "%": "%"}) == "nc a 22 %"
    with pytest.raises(InventoryError, match="%z"):
        expand("%z", {})


@pytest.mark.needs("ssh")
async def test_ssh_config_as_openssh_reads_it(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host web\n HostName 192.0.2.1\n Port 2222\n User deploy\n HostKeyAlias w\n"
        f" IdentityFile {tmp_path}/%h\n IdentitiesOnly yes\n IdentityAgent none\n ConnectTimeout 7\n"
        f' UserKnownHostsFile "{tmp_path}/a b" {tmp_path}/%h\n ProxyCommand exec nc %h %p\n'
        'Match host far exec "test 1 = 1"\n ProxyJump ops@one:23,two\n'
    )
    web = await resolve(Host(name="web", ssh_config=config))
    assert (web.address, web.port, web.user, web.key_name) == ("192.0.2.1", 2222, "deploy", "w")
    assert (web.identity_files, web.identities_only, web.agent) == ((tmp_path / "192.0.2.1",), True, None)
    assert {tmp_path / "a b", tmp_path / "192.0.2.1"} <= set(web.known_hosts)
    assert (web.proxy_command, web.connect_timeout) == ("exec nc 192.0.2.1 2222", 7)
    over = await resolve(Host(name="x", address="web", port=5, user="me", jump="gate", ssh_config=config))
    assert (over.port, over.user, over.jumps, over.proxy_command) == (5, "me", ("gate",), None)
    far = await resolve(Host(name="far", ssh_config=config))
    assert far.jumps == ("ops@one:23", "two")


@pytest.mark.needs("ssh")
async def test_a_broken_ssh_config_is_a_sentence(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Bogus yes\n")
    with pytest.raises(HostUnreachable, match=r"ssh_config can't be read: .*Bad configuration option: bogus"):
        await resolve(Host(name="web", ssh_config=config))


def test_known_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "known"
    path.write_text(
        f"web,192.0.2.1 ssh-ed25519 {KEY} comment\n*.edx,!bad.edx ssh-ed25519 {KEY}\n"
        f"@cert-authority *.ca ssh-ed25519 {KEY}\n@revoked old ssh-ed25519 {KEY}\n"
        "garbage\nweb ssh-ed25519 notbase64\n# web\n"
    )
    index = KnownHosts()
    web = index.lookup([path, tmp_path / "missing"], "WEB", 22)
    assert [k.line for k in web.keys] == [f"ssh-ed25519 {KEY}"]
    assert web.where == f"{path}:1"
    assert web.pinned_by_name
    assert key_kind(web.keys[0].blob) == "ssh-ed25519"
    assert fingerprint(web.keys[0].blob).startswith("SHA256:")
    other_port = index.lookup([path], "web", 2222)
    assert other_port.keys
    assert not other_port.pinned_by_name
    assert index.lookup([path], "a.edx", 22).keys
    assert not index.lookup([path], "bad.edx", 22).keys
    assert index.lookup([path], "a.ca", 22).authorities
    assert index.lookup([path], "old", 22).revoked
    assert not index.lookup([path], "new", 22).keys
    index.pin("new", 2222, f"ssh-ed25519 {KEY}")
    assert index.lookup([path], "new", 2222).pinned_by_name


def test_sudoers_lines_are_quoted() -> None:
    argv = sudo_argv(UnixEndpoint("/run/s.sock"))
    assert sudoers_line("ops", "root", argv) == (
        "ops ALL=(root) NOPASSWD: /usr/bin/socat -d -d -t3600 - UNIX-CONNECT\\:/run/s.sock"
    )
    assert sudoers_line("ops", "root", ("/bin/x", "", "a,b")) == 'ops ALL=(root) NOPASSWD: /bin/x "" a\\,b'


def test_become_refuses_options() -> None:
    with pytest.raises(ValueError, match="not a user name"):
        become_argv(["id"], "-x")


def test_the_pid_line_is_taken_out_wherever_it_is_cut() -> None:
    text = b"rc noise\nEDX-PID 4711\nreal\n"
    for at in range(len(text)):
        line = PidLine()
        assert line.strip(text[:at]) + line.strip(text[at:]) + line.rest() == b"rc noise\nreal\n"
        assert line.pid == 4711
    none = PidLine()
    assert none.strip(b"only noise") + none.rest() == b"only noise"


async def test_a_queue_pushes_back_or_drops_and_counts() -> None:
    calls: list[str] = []
    queue = ByteQueue(100, pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"))
    queue.feed(b"x" * 150)
    assert await queue.read(120) == b"x" * 120
    assert calls == ["pause", "resume"]
    queue.feed_eof(OSError("gone"))
    assert await queue.read(100) == b"x" * 30
    with pytest.raises(OSError, match="gone"):
        await queue.read(1)
    newest = ByteQueue(100)
    for n in range(10):
        newest.feed(bytes([n]) * 50)
    newest.feed_eof()
    assert await newest.read() == bytes([8]) * 50 + bytes([9]) * 50
    assert newest.dropped == 400


async def test_handshakes_are_bounded_and_a_question_gives_its_turn_back() -> None:
    limits = Limits(handshakes=3, handshakes_per_place=2)
    pool = ConnectionPool(Inventory(hosts={}), SilentPrompter(), limits=limits)
    now: dict[str, int] = {"a": 0, "b": 0}
    most: dict[str, int] = {"a": 0, "b": 0, "all": 0}

    async def one(place: str) -> None:
        async with pool.handshake(place) as slot:
            await slot.take()
            now[place] += 1
            most[place] = max(most[place], now[place])
            most["all"] = max(most["all"], sum(now.values()))
            await asyncio.sleep(0.005)
            now[place] -= 1

    await asyncio.gather(*(one(place) for place in "ab" * 10))
    assert most == {"a": 2, "b": 2, "all": 3}
    async with pool.handshake("a") as asking, pool.handshake("a"):
        await asking.take()
        asking.give_back()
        await asyncio.wait_for(one("a"), 5)
    await pool.close()


async def test_a_return_is_told_once_it_was_away_and_never_before() -> None:
    answers = [False, False, True]
    knocks = 0

    async def knock() -> bool:
        nonlocal knocks
        knocks += 1
        return answers.pop(0) if answers else True

    await asyncio.wait_for(returned(knock, Rhythm(0.02)), 5)
    assert knocks == 3
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(returned(knock, Rhythm(0.02)), 0.3)
    assert knocks == 4


async def test_knocks_that_get_no_answer_are_few() -> None:
    waiting: list[asyncio.Future[bool]] = []

    async def knock() -> bool:
        waiting.append(asyncio.get_running_loop().create_future())
        return await waiting[-1]

    task = asyncio.create_task(returned(knock, Rhythm(0.02, most=3)))
    await asyncio.sleep(0.3)
    assert len(waiting) == 3
    waiting[1].set_result(True)
    await asyncio.wait_for(task, 5)
    assert waiting[0].cancelled()
    assert waiting[2].cancelled()


async def test_ssh_config_is_asked_again_only_when_a_file_changed(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"Include {tmp_path}/more/*.conf\n")
    (tmp_path / "more").mkdir()
    asked: list[str] = []

    async def ask(name: str, **_: object) -> dict[str, list[str]]:
        asked.append(name)
        if name == "broken":
            raise HostUnreachable("ssh_config can't be read: no", host=name, remedy="correct it")
        return {"hostname": [name]}

    cache = SshConfigCache(ask)
    for _ in range(3):
        assert await cache.ask("web", config=config) == {"hostname": ["web"]}
        with pytest.raises(HostUnreachable, match="broken: ssh_config can't be read: no; correct it"):
            await cache.ask("broken", config=config)
    assert asked == ["web", "broken"]
    assert await cache.ask("web", config=config, port=7)
    assert asked == ["web", "broken", "web"]
    (tmp_path / "more" / "new.conf").write_text("Host web\n Port 5\n")
    await cache.ask("web", config=config)
    await cache.ask("web", config=config)
    assert asked == ["web", "broken", "web", "web"]
    (tmp_path / "more" / "new.conf").write_text("Host web\n Port 5555\n")
    await cache.ask("web", config=config)
    assert len(asked) == 5


async def test_one_failed_jump_is_shared_by_all_who_waited() -> None:
    pool = ConnectionPool(Inventory(hosts={}), SilentPrompter())
    tried = 0

    async def refuse() -> JumpLink:
        nonlocal tried
        tried += 1
        await asyncio.sleep(0.05)
        raise AuthenticationFailed("no key was accepted", host="gate")

    ends = await asyncio.gather(*(pool.jump("gate", refuse) for _ in range(8)), return_exceptions=True)
    assert [type(e) for e in ends] == [AuthenticationFailed] * 8
    assert tried == 1
    with pytest.raises(AuthenticationFailed):
        await pool.jump("gate", refuse)
    assert tried == 2
    await pool.close()
