# ruff: noqa: F401, F811 - fixtures are imported and named again as arguments
"""Who the host is and who we are: host keys, keys, agent, passwords, jump hosts, ssh_config."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edxconsole.errors import (
    AuthenticationFailed,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    TransportError,
)
from edxconsole.inventory.model import Host
from edxconsole.transport.known_hosts import own_file
from tests.support.ssh.fixtures import lab, plain_sshd, reach
from tests.support.ssh.lab import PASSPHRASE, PASSWORD, Sshd, SshLab, free_port, keygen
from tests.support.ssh.peers import Reach

pytestmark = [
    pytest.mark.root,
    pytest.mark.needs("sshd", "unshare", "ssh"),
    pytest.mark.parametrize("reach", ["asyncssh", "paramiko"], indirect=True),
]


def fingerprint(key: Path) -> str:
    out = subprocess.run(
        ["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True
    ).stdout
    return out.split()[1]


@pytest.fixture(scope="module")
def asking_sshd(lab: SshLab) -> Sshd:
    """Passwords through PAM, both ways."""
    return lab.sshd(
        "PasswordAuthentication yes", "KbdInteractiveAuthentication no", "PubkeyAuthentication no"
    )


@pytest.fixture(scope="module")
def kbdint_sshd(lab: SshLab) -> Sshd:
    return lab.sshd("KbdInteractiveAuthentication yes", "PubkeyAuthentication no")


async def works(reach: Reach, server: Sshd, name: str = "web1", **more: object) -> None:
    transport = await reach.connect(server, name, **more)
    assert (await transport.run(["id", "-un"], timeout=15)).stdout == b"ops\n"
    await transport.close()


async def test_unknown_key_is_shown_and_refused(reach: Reach, plain_sshd: Sshd) -> None:
    with pytest.raises(
        HostKeyUnknown, match=r"web1: its ssh-ed25519 key SHA256:.*edxconsole trust web1"
    ) as caught:
        await works(reach, plain_sshd, known_hosts=None)
    assert caught.value.fingerprint == fingerprint(plain_sshd.host_keys[0])
    assert reach.operator.shown == [
        ("web1", plain_sshd.address, "ssh-ed25519", fingerprint(plain_sshd.host_keys[0]))
    ]
    assert not own_file().exists()


async def test_accepted_key_is_pinned_and_not_asked_again(reach: Reach, plain_sshd: Sshd) -> None:
    reach.operator.trusts = True
    await works(reach, plain_sshd, known_hosts=None)
    await works(reach, plain_sshd, known_hosts=None)
    assert len(reach.operator.shown) == 1
    assert own_file().read_text() == plain_sshd.known_hosts_line()
    assert own_file().stat().st_mode & 0o777 == 0o600


async def test_changed_key_is_refused_whatever_the_operator_says(
    reach: Reach,
    lab: SshLab,
    plain_sshd: Sshd,
    tmp_path: Path,
) -> None:
    reach.operator.trusts = True
    known = tmp_path / "other"
    known.write_text(plain_sshd.known_hosts_line(lab.host_key("ed25519", "stranger")))
    with pytest.raises(HostKeyChanged, match=r"web1: its host key CHANGED.*ssh-keygen -R"):
        await works(reach, plain_sshd, known_hosts=known)
    assert reach.operator.shown == []


async def test_a_key_of_another_type_is_a_changed_one(
    reach: Reach,
    lab: SshLab,
    plain_sshd: Sshd,
    tmp_path: Path,
) -> None:
    reach.operator.trusts = True
    known = tmp_path / "other"
    known.write_text(plain_sshd.known_hosts_line(lab.host_key("ecdsa")))
    with pytest.raises(HostKeyChanged, match="CHANGED"):
        await works(reach, plain_sshd, known_hosts=known)


async def test_the_pinned_one_of_several_host_keys_is_used(
    reach: Reach,
    lab: SshLab,
    tmp_path: Path,
) -> None:
    server = lab.sshd(host_keys=(lab.host_key("ed25519"), lab.host_key("rsa")))
    known = tmp_path / "rsa"
    known.write_text(server.known_hosts_line(lab.host_key("rsa")))
    await works(reach, server, known_hosts=known)


async def test_hashed_and_revoked_lines(
    reach: Reach,
    plain_sshd: Sshd,
    tmp_path: Path,
) -> None:
    known = tmp_path / "hashed"
    known.write_text(plain_sshd.known_hosts_line())
    await asyncio.to_thread(
        subprocess.run, ["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True
    )
    assert "|1|" in known.read_text()
    await works(reach, plain_sshd, known_hosts=known)
    with known.open("a") as out:
        out.write("@revoked * " + " ".join(plain_sshd.known_hosts_line().split()[1:]) + "\n")
    with pytest.raises(HostKeyChanged, match="revoked"):
        await works(reach, plain_sshd, known_hosts=known)


async def test_user_known_hosts_none_still_verifies(reach: Reach, plain_sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n UserKnownHostsFile none\n StrictHostKeyChecking no\n")
    with pytest.raises(HostKeyUnknown):
        await works(reach, plain_sshd, known_hosts=None, ssh_config=config)


async def test_wrong_key_is_refused_once(reach: Reach, plain_sshd: Sshd, tmp_path: Path) -> None:
    keygen(tmp_path / "wrong")
    with pytest.raises(AuthenticationFailed, match=r"web1: ops@127\..*no key was accepted; see that"):
        await works(reach, plain_sshd, identity_file=tmp_path / "wrong")
    assert reach.operator.asked == []


async def test_encrypted_key_asks_once_for_all(reach: Reach, plain_sshd: Sshd, lab: SshLab) -> None:
    reach.operator.answers = ["wrong", PASSPHRASE]
    await asyncio.gather(
        *(works(reach, plain_sshd, name=f"app{i}", identity_file=lab.locked_key) for i in range(3))
    )
    assert [q.startswith("wrong") for q in reach.operator.asked] == [False, True]
    assert all(str(lab.locked_key) in q for q in reach.operator.asked)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            assert process.poll() is None
        yield path
    finally:
        process.terminate()
        process.wait(5)


def add(agent_path: Path, *keys: Path) -> None:
    environment = os.environ | {"SSH_AUTH_SOCK": str(agent_path)}
    subprocess.run(["ssh-add", "-q", *map(str, keys)], env=environment, check=True)


async def test_agent(
    reach: Reach,
    plain_sshd: Sshd,
    lab: SshLab,
    agent: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(agent, lab.key)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    await works(reach, plain_sshd, identity_file=lab.directory / "missing")


async def test_the_named_key_goes_before_the_agents_many(
    reach: Reach,
    plain_sshd: Sshd,
    lab: SshLab,
    agent: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight wrong keys first, and sshd would hang up (MaxAuthTries 6)."""
    wrong = [tmp_path / f"wrong{i}" for i in range(8)]
    for path in wrong:
        keygen(path)
    add(agent, *wrong)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    await works(reach, plain_sshd)
    with pytest.raises(AuthenticationFailed, match=r"too many keys.*IdentitiesOnly"):
        await works(reach, plain_sshd, identity_file=lab.directory / "missing")


@pytest.mark.parametrize("way", ["password", "keyboard-interactive"])
async def test_password(reach: Reach, asking_sshd: Sshd, kbdint_sshd: Sshd, way: str) -> None:
    server = asking_sshd if way == "password" else kbdint_sshd
    reach.operator.answers = [PASSWORD]
    await works(reach, server)
    await works(reach, server)
    assert len(reach.operator.asked) == 1
    assert re.search("password", reach.operator.asked[0], re.IGNORECASE)


@pytest.mark.parametrize("answers", [["nonsense", PASSWORD], []])
async def test_wrong_or_no_password_is_not_tried_again(
    reach: Reach,
    asking_sshd: Sshd,
    answers: list[str],
) -> None:
    reach.operator.answers = list(answers)
    with pytest.raises(AuthenticationFailed) as caught:
        await works(reach, asking_sshd)
    assert len(reach.operator.asked) == 1
    assert "nonsense" not in str(caught.value)


async def test_refused_unknown_name_and_silence(reach: Reach, plain_sshd: Sshd) -> None:
    with pytest.raises(HostUnreachable, match=r"web1: 127\.0\.77\.1 port \d+ refused the connection; see"):
        await works(reach, plain_sshd, address="127.0.77.1", port=free_port("127.0.77.1"))
    with pytest.raises(HostUnreachable, match=r"web1: the name no-such\.invalid is not known"):
        await works(reach, plain_sshd, address="no-such.invalid")


async def test_hostile_names_never_reach_a_shell(reach: Reach, plain_sshd: Sshd, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    config = tmp_path / "config"
    config.write_text("Host *\n ProxyCommand echo %h %r\n")
    for more in (
        {"address": f"$(touch {mark})"},
        {"user": f"`touch {mark}`"},
        {"address": "-oProxyCommand=x"},
    ):
        with pytest.raises((TransportError, Exception), match="not allowed"):
            await works(reach, plain_sshd, ssh_config=config, **more)
    assert not mark.exists()


async def test_proxy_command_through_a_shell(reach: Reach, plain_sshd: Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host far\n HostName {plain_sshd.address}\n Port {plain_sshd.port}\n User ops\n"
        f" ProxyCommand exec socat - TCP:%h:%p 2>/dev/null\n"
    )
    host = Host(
        name="far",
        ssh_config=config,
        identity_file=reach.lab.key,
        known_hosts=reach.known(plain_sshd),
        transport=reach.kind,
    )
    transport = reach.transport(host)
    await transport.connect()
    assert (await transport.run(["id", "-un"], timeout=15)).stdout == b"ops\n"
    await transport.close()
    assert "closed" in await transport.wait_lost()


async def test_failing_proxy_command_tells_its_last_words(
    reach: Reach,
    plain_sshd: Sshd,
    tmp_path: Path,
) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n ProxyCommand echo no way through >&2; exit 1\n")
    with pytest.raises(HostUnreachable, match="web1: its ProxyCommand ended: no way through"):
        await works(reach, plain_sshd, ssh_config=config)


async def test_many_hosts_share_one_jump_connection(reach: Reach, lab: SshLab) -> None:
    bastion, target = lab.sshd(), lab.sshd()
    known = reach.known(bastion, target)
    reach.hosts["bastion"] = reach.host(bastion, "bastion", known_hosts=known)
    reach.known(bastion, target)
    hosts = [reach.host(target, f"app{i}", jump="bastion") for i in range(12)]
    reach.known(bastion, target)
    transports = [reach.transport(h) for h in hosts]
    await asyncio.gather(*(t.connect() for t in transports))
    outputs = await asyncio.gather(*(t.run(["id", "-un"], timeout=30) for t in transports))
    assert {r.stdout for r in outputs} == {b"ops\n"}
    assert transports[0].info.via == ("bastion",)
    assert bastion.logged.count("Accepted publickey for ops") == 1
    assert target.logged.count("Accepted publickey for ops") == 12


async def test_jump_host_that_can_not_reach_the_target(reach: Reach, lab: SshLab) -> None:
    bastion = lab.sshd("AllowTcpForwarding no")
    reach.host(bastion, "bastion")
    host = reach.host(bastion, "app1", jump="bastion", address="127.0.77.2", port=9)
    with pytest.raises(
        HostUnreachable, match=r"app1: the jump host bastion can't reach 127\.0\.77\.2 port 9"
    ):
        await reach.transport(host).connect()


async def test_jumps_in_a_circle(reach: Reach, plain_sshd: Sshd) -> None:
    reach.host(plain_sshd, "a", jump="b")
    reach.host(plain_sshd, "b", jump="a")
    with pytest.raises(Exception, match="circle"):
        await reach.transport(reach.hosts["a"]).connect()
