"""Broken and hostile files and directories: hosts.yaml, settings, state; said in a sentence each."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.terminal import ENTERED, command, terminal

GOOD = "cluster: t\nenvironment: development\nhosts:\n  here: {transport: local}\n"

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)

BROKEN: dict[str, tuple[bytes, str]] = {
    "syntax": (b"hosts: [a\n  b: }", ":2: is not YAML here"),
    "wrong type": (b"hosts: 5\n", ":1: hosts: found the number 5, expected a mapping"),
    "list": (b"- a\n", ":1: found a list, expected a mapping"),
    "unknown key": (
        b"hosts:\n  a: {adress: x}\n",
        ":2: hosts.a.adress: unknown key; did you mean 'address'?",
    ),
    "duplicate": (b"hosts:\n  a: {}\n  a: {}\n", ":3: hosts.a: is given twice (first on line 2)"),
    "empty": (b"", ": is empty"),
    "no hosts": (b"hosts: {}\n", ":1: hosts: found a mapping, expected at least 1"),
    "binary": (bytes(range(256)) * 20, ": is not "),
    "utf-16": ("hosts: {a: }".encode("utf-16"), ": is not UTF-8 text"),
    "huge": (b"hosts:\n" + b"".join(b"  h%d: {port: 22}\n" % i for i in range(80_000)), ": is larger than"),
    "alias bomb": (f"{BOMB}hosts: *a11\n".encode(), "through its aliases"),
    "recursive": (b"hosts: &a {x: *a}\n", "through its aliases"),
    "deep": (b"hosts: " + b"[" * 20_000, ":1: is nested deeper than"),
    "python tag": (b'!!python/object/apply:os.system ["touch pwned"]', "is not allowed here"),
    "two documents": (b"hosts: {a: {}}\n---\nhosts: {b: {}}\n", "expected a single document"),
    "jump circle": (b"hosts: {a: {jump: b}, b: {jump: a}}\n", "jump hosts go round in a circle: a -> b -> a"),
    "option as name": (b'hosts: {"-oProxyCommand=x": {}}\n', "that doesn't begin with '-'"),
    "option as address": (b'hosts: {a: {address: "-oProxyCommand=x"}}\n', "hosts.a.address: found '-oProxy"),
    "shell in user": (b'hosts: {a: {user: "$(id)"}}\n', "hosts.a.user: found '$(id)', expected a login name"),
    "escape in name": (b'hosts: {"a\\x1b]0;pwned\\x07": {}}\n', r"the key 'a\x1b]0;pwned\x07' holds control"),
    "escape in cluster": (b'cluster: "\\x1b]0;pwned\\x07"\nhosts: {a: {}}\n', "cluster: "),
    "bidi in group": ('hosts: {a: {}}\ngroups: {"x\u202ey": [a]}\n'.encode(), ":2: groups"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_hosts_yaml(tmp_path: Path, name: str) -> None:
    content, words = BROKEN[name]
    (tmp_path / "hosts.yaml").write_bytes(content)
    ended = command(tmp_path, "--hosts", "hosts.yaml", "status")
    assert ended.status == 2, ended.said
    assert ended.out == ""
    assert ended.err.startswith("edxconsole: hosts.yaml")
    assert words in ended.err
    assert all(line.strip() for line in ended.err.splitlines())
    assert ended.seconds < 15
    assert not (tmp_path / "pwned").exists()


def test_every_way_to_open_it_says_the_same(tmp_path: Path) -> None:
    """Each command and the console itself, which opens no screen."""
    (tmp_path / "hosts.yaml").write_text("hosts:\n  a: {adress: x}\n")
    words = "hosts.yaml:2: hosts.a.adress: unknown key; did you mean 'address'?"
    for argv in (["check"], ["logs"], ["ports"], ["supervisor"], ["restart", "lms"], ["sudoers"]):
        ended = command(tmp_path, *argv)
        assert (ended.status, ended.out) == (2, "")
        assert words in ended.err
    with terminal(tmp_path) as console:
        assert console.ended() == 2
        assert ENTERED not in console.seen
        assert words in console.text.replace("\r\n", "")
        console.assert_given_back()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _socket], ids=["directory", "fifo", "socket"])
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "hosts.yaml")
    ended = command(tmp_path, "--hosts", "hosts.yaml", "status")
    assert ended.status == 2
    assert ended.err == "edxconsole: hosts.yaml: is not a regular file.\n"


def test_a_missing_file_is_named_cleanly(tmp_path: Path) -> None:
    ended = command(tmp_path, "--hosts", "\x1b]0;pwned\x07gone.yaml", "status")
    assert ended.status == 2
    assert "gone.yaml, which does not exist; check the path." in ended.err


UNPRIVILEGED = ("unshare", "--user")
"""our own files stay ours, but nothing overrides their modes: root as an ordinary user"""


@pytest.mark.needs("unshare", "namespaces")
def test_an_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(GOOD)
    (tmp_path / "hosts.yaml").chmod(0)
    ended = command(tmp_path, "status", prefix=UNPRIVILEGED)
    assert ended.status == 2
    assert "hosts.yaml: can't be read: Permission denied" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "hosts.yaml").write_text(GOOD)
    return tmp_path


ODD_HOMES: dict[str, dict[str, str]] = {
    "no home": {"HOME": "/nonexistent", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": ""},
    "relative home": {"HOME": "foo", "XDG_STATE_HOME": "bar", "XDG_CONFIG_HOME": "baz"},
    "read-only state": {"XDG_STATE_HOME": "/proc", "XDG_CONFIG_HOME": "/proc"},
    "state is a file": {"XDG_STATE_HOME": "/etc/passwd"},
}


@pytest.mark.parametrize("name", ODD_HOMES)
def test_reading_needs_no_home(good: Path, name: str) -> None:
    ended = command(good, "status", more=ODD_HOMES[name])
    assert ended.status in (0, 1), ended.said
    assert "1 of 1 host live" in ended.out
    with terminal(good, more=ODD_HOMES[name]) as console:
        console.until("live")
        console.type("q")
        assert console.ended() == 0
        console.assert_given_back()


@pytest.mark.needs("unshare", "namespaces")
def test_a_user_without_a_name_or_home(good: Path) -> None:
    """A container's numeric user: no passwd entry, no HOME."""
    code = "import os, sys; os.environ.pop('HOME', None); os.execv(sys.argv[1], sys.argv[1:])"
    prefix = (*UNPRIVILEGED, "--map-user=54321", sys.executable, "-c", code)
    ended = command(good, "status", prefix=prefix)
    assert ended.status in (0, 1), ended.said
    assert "1 of 1 host live" in ended.out


def test_broken_settings(good: Path) -> None:
    directory = good / "config/edxconsole"
    directory.mkdir(parents=True)
    (directory / "settings.yaml").write_text("theme: 5\nfoo: 1\n")
    with terminal(good) as console:
        assert console.ended() == 2
        assert ENTERED not in console.seen
        assert "settings.yaml:1: theme: found the number 5, expected text" in console.text
        assert "settings.yaml:2: foo: unknown key" in console.text


def test_the_state_directory_is_private(good: Path) -> None:
    (good / "state").mkdir(mode=0o755)
    command(good, "status")
    with terminal(good) as console:
        console.until("live")
        console.type("q")
        console.ended()
    for path in (good / "state").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
