"""The console on real hosts that can't be reached, in a real pty: each told, the rest live, q leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from edxconsole.inventory.model import Host
from tests.lab.host import HostOptions, LabHost, make_key
from tests.lab.lab import Lab
from tests.support.terminal import Ended, Terminal, command, descendants, terminal

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(180)]

NO_PYTHON = ["/usr/bin/python*", "/usr/local/bin/python*", "/usr/libexec/platform-python*"]
QUICK = 6.0
"""seconds within which the console is gone after q, whatever its hosts do"""


@dataclass
class Bad:
    """One good host and one of every bad kind."""

    lab: Lab
    hosts: dict[str, LabHost]
    entries: dict[str, Host]

    def yaml(self, *names: str) -> Path:
        inventory = self.lab.inventory()
        chosen = {n: self.entries[n] for n in names} if names else self.entries
        return self.lab.hosts_yaml(replace(inventory, hosts=chosen))


@pytest.fixture(scope="module")
def bad(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bad]:
    hosts = module_lab.boot(
        {
            "good": HostOptions(),
            "nosudo": HostOptions(sudo=False),
            "nopython": HostOptions(without=NO_PYTHON),
            "frozen": HostOptions(),
            "dropped": HostOptions(),
            "refused": HostOptions(),
            "stranger": HostOptions(),
            "changed": HostOptions(),
            "wronguser": HostOptions(),
        }
    )
    directory = tmp_path_factory.mktemp("keys")
    (directory / "nobody").touch()
    make_key(directory / "other")
    kind, public = (directory / "other.pub").read_text().split()[:2]
    (directory / "others").write_text(f"{hosts['changed'].address} {kind} {public}\n")
    hosts["frozen"].freeze()
    hosts["dropped"].drop()
    hosts["refused"].refuse_ssh()
    entries = dict(module_lab.inventory().hosts)

    def change(name: str, **fields: Any) -> None:
        entries[name] = replace(entries.get(name, entries["good"]), name=name, **fields)

    change("stranger", known_hosts=directory / "nobody")
    change("changed", known_hosts=directory / "others")
    change("wronguser", user="nobodyknown")
    change("nosudo", become="sudo")
    change("noroute", address="198.51.100.9")
    change("noname", address="no-such-name.invalid")
    yield Bad(module_lab, hosts, entries)
    hosts["frozen"].thaw()


SENTENCES = {
    "refused": ("refused the connection", "see whether sshd runs on that port"),
    "stranger": ("is not known", "run `edxconsole trust stranger`"),
    "changed": ("its host key CHANGED", "ssh-keygen -R"),
    "wronguser": ("no key was accepted", "see that the user is right"),
    "noroute": ("no route to 198.51.100.9 port 22", "see whether the host is up and the VPN is on"),
    "noname": ("the name no-such-name.invalid is not known", "correct the address"),
    "frozen": ("no answer", "see whether it is up"),
    "dropped": ("no answer", "see whether"),
}
"""host -> its cause and its remedy"""


def assert_each_is_told(ended: Ended, *names: str) -> None:
    """One line for each host, with cause and remedy."""
    lines = ended.said.splitlines()
    for name in names or SENTENCES:
        cause, remedy = SENTENCES[name]
        said = [x for x in lines if name in x and cause in x]
        assert said, (name, ended.said)
        assert any(remedy in x for x in said), (name, said)


def test_status_tells_each_and_shows_the_rest(bad: Bad, tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", str(bad.yaml()), "status", "--timeout", "8")
    assert ended.status == 3
    assert_each_is_told(ended)
    live = [x.split()[0] for x in ended.out.splitlines() if "● live" in x]
    assert live == ["good", "nosudo", "nopython"]
    assert ended.seconds < 25


def test_check_names_the_step_that_fails_and_its_remedy(bad: Bad, tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", str(bad.yaml()), "check", "--timeout", "6")
    assert ended.status == 3
    blocks = {b.split()[0]: b for b in ended.out.split("\n\n") if b.strip()}
    for name, (cause, remedy) in SENTENCES.items():
        assert cause in blocks[name], blocks[name]
        assert f"remedy: {remedy}" in blocks[name] or remedy in blocks[name], blocks[name]
    assert "ops has no rule that works without a password" in blocks["nosudo"]
    assert "edxconsole sudoers" in blocks["nosudo"]
    assert "a shell probe sends the essentials" in blocks["nopython"]
    assert "install Python" in blocks["nopython"]
    assert "● sudo    everything" in blocks["good"]


def test_logs_tell_which_hosts_are_silent(bad: Bad, tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", str(bad.yaml()), "logs", "--timeout", "6")
    assert ended.status == 3
    assert_each_is_told(ended)


@pytest.mark.parametrize("name", ["stranger", "changed", "wronguser", "refused", "noroute"])
def test_nothing_is_restarted_where_nothing_is_known(bad: Bad, tmp_path: Path, name: str) -> None:
    argv = ["restart", f"nginx@{name}", "--yes", "--reason", "test"]
    ended = command(tmp_path, "--hosts", str(bad.yaml()), *argv)
    assert ended.status == 4
    (line,) = ended.err.splitlines()
    assert line.startswith(f"edxconsole: {name}: it is ")
    assert "nothing is changed there" in line
    for words in SENTENCES[name]:
        assert words in line
    assert ".)" not in line


def test_a_restart_without_a_terminal_to_confirm_on_is_declined(bad: Bad, tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", str(bad.yaml("good")), "restart", "nginx@good")
    assert ended.status == 2
    assert "nothing on good is named nginx@good" in ended.err


@pytest.fixture
def console(bad: Bad, tmp_path: Path) -> Iterator[Terminal]:
    names = [n for n in bad.entries if n != "stranger"]
    with terminal(tmp_path, "--hosts", str(bad.yaml(*names)), size=(160, 50)) as opened:
        yield opened


def leave(console: Terminal, *, keys: str = "q", status: int = 0) -> None:
    """It is gone in time, leaves no process, and the terminal is as before."""
    below = descendants(console.process.pid)
    begun = time.monotonic()
    console.type(keys)
    assert console.ended(15) == status
    passed = time.monotonic() - begun
    console.assert_given_back()
    assert passed < QUICK, passed
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in console.log()


def test_the_console_tells_each_and_leaves_at_once(console: Terminal) -> None:
    console.until("good", "nosudo", "3 live", "2 refused", "port 22", "host key CHANGED", timeout=40)
    console.until("refused: nobodyknown@", "no route to 198.51", "the name no-such")
    leave(console)


def test_ctrl_c_leaves_at_once_too(console: Terminal) -> None:
    console.until("no route")
    leave(console, keys="\x03")


def test_an_unknown_key_is_asked_about_before_anything_is_sent(bad: Bad, tmp_path: Path) -> None:
    host = bad.hosts["stranger"]
    with terminal(tmp_path, "--hosts", str(bad.yaml("good", "stranger")), size=(120, 36)) as console:
        console.until("stranger is not known yet", "SHA256:", "Refuse")
        assert host.sh("ps -eo args | grep -c '[s]shd: ops' || true").strip() == "0"
        console.until("live")
        console.type("\r")
        console.until("1 refused", "refused: its ssh-ed25519 key SHA256:")
        assert not (tmp_path / "state/edxconsole/known_hosts").exists()
        leave(console)


def test_a_key_that_is_trusted_is_remembered(bad: Bad, tmp_path: Path) -> None:
    with terminal(tmp_path, "--hosts", str(bad.yaml("stranger")), size=(120, 36)) as console:
        console.until("stranger is not known yet")
        console.type("\t\r")
        console.until("live")
        leave(console)
    ended = command(tmp_path, "--hosts", str(bad.yaml("stranger")), "status")
    assert ended.status == 0, ended.said
    assert "1 of 1 host live" in ended.out


def test_leaving_while_a_question_is_open(bad: Bad, tmp_path: Path) -> None:
    with terminal(tmp_path, "--hosts", str(bad.yaml("good", "stranger"))) as console:
        console.until("stranger is not known yet")
        leave(console, keys="\x03")
