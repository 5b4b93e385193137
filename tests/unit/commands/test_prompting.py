"""Questions on a real terminal: secrets without echo, keys pinned only by the whole word yes."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edxconsole.commands.prompting import TerminalPrompter


@dataclass
class Terminal:
    """The operator's end of a pty, and the path of the program's end."""

    fd: int
    path: str
    slave: int

    async def read_until(self, text: str) -> str:
        """What the terminal shows up to `text`. Never blocks a thread: a missing text fails in 10 s."""
        got = ""
        async with asyncio.timeout(10):
            while text not in got:
                try:
                    got += os.read(self.fd, 4096).decode()
                except BlockingIOError:
                    await asyncio.sleep(0.01)
        return got

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    yield Terminal(master, os.ttyname(slave), slave)
    os.close(master)
    os.close(slave)


async def test_a_secret_is_not_echoed_and_echo_comes_back(terminal: Terminal) -> None:
    asked = asyncio.create_task(TerminalPrompter(terminal.path).secret("app1", "Password: "))
    assert "app1: Password: " in await terminal.read_until(": Password: ")
    assert not terminal.echoes()
    terminal.type("hunter2 \u00fc\n")
    assert await asked == "hunter2 \u00fc"
    assert terminal.echoes()
    assert "hunter2" not in await terminal.read_until("\n")


async def test_a_cancelled_question_gives_the_terminal_back(terminal: Terminal) -> None:
    asked = asyncio.create_task(TerminalPrompter(terminal.path).secret("app1", "code"))
    await terminal.read_until("code: ")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert terminal.echoes()


async def test_end_of_file_declines(terminal: Terminal) -> None:
    asked = asyncio.create_task(TerminalPrompter(terminal.path).secret("app1", "code"))
    await terminal.read_until("code: ")
    terminal.type("\x04")
    assert await asked is None


@pytest.mark.parametrize(
    ("typed", "trusted"), [("yes", True), ("y", False), ("", False), ("YES please", False)]
)
async def test_only_yes_trusts(terminal: Terminal, typed: str, trusted: bool) -> None:
    prompter = TerminalPrompter(terminal.path)
    asked = asyncio.create_task(prompter.trust("app1", "192.0.2.21", "ssh-ed25519", "SHA256:abc"))
    said = await terminal.read_until("[yes/no] ")
    assert "app1 (192.0.2.21): its host key is not known yet." in said
    assert "SHA256:abc" in said
    assert "ssh_host_ed25519_key.pub" in said
    terminal.type(typed + "\n")
    assert await asked is trusted


async def test_questions_of_several_hosts_come_one_by_one(terminal: Terminal) -> None:
    prompter = TerminalPrompter(terminal.path)
    first = asyncio.create_task(prompter.secret("app1", "code"))
    second = asyncio.create_task(prompter.secret("app2", "code"))
    assert "app2" not in await terminal.read_until("app1: code: ")
    terminal.type("one\n")
    assert await first == "one"
    await terminal.read_until("app2: code: ")
    terminal.type("two\n")
    assert await second == "two"


async def test_what_a_host_asks_can_not_steer_the_terminal(terminal: Terminal) -> None:
    asked = asyncio.create_task(TerminalPrompter(terminal.path).secret("app1", "\x1b[2J\x1b]0;x\x07Code:"))
    said = await terminal.read_until("Code: ")
    assert "\x1b" not in said
    terminal.type("\n")
    assert await asked == ""


async def test_without_a_terminal_it_declines(tmp_path: object) -> None:
    assert await TerminalPrompter(f"{tmp_path}/none").secret("app1", "code") is None
