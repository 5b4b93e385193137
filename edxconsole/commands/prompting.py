"""Ask on the terminal: passwords without echo, unknown host keys with their fingerprint.

Reads the terminal through the event loop, so that other hosts go on connecting meanwhile and
Ctrl-C works; one question at a time. Answers are kept nowhere.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from edxconsole.cluster.text import clean_line

_LIMIT = 4096


class TerminalPrompter:
    """Needs a controlling terminal."""

    def __init__(self, path: str = "/dev/tty") -> None:
        self._path = path
        self._one = asyncio.Lock()

    async def secret(self, host: str, prompt: str) -> str | None:
        """The answer, None at Ctrl-D."""
        asked = clean_line(prompt).rstrip(": ") or "password"
        question = asked if host in asked else f"{host}: {asked}"
        return await self._ask(f"{question}: ", hidden=True)

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        """Only the whole word yes pins a key."""
        where = f" ({clean_line(address)})" if address and address != host else ""
        name = clean_line(key_type).removeprefix("ssh-")
        text = (
            f"{host}{where}: its host key is not known yet.\n"
            f"  {clean_line(key_type)} {clean_line(fingerprint)}\n"
            f"Compare it on the host: ssh-keygen -lf /etc/ssh/ssh_host_{name.split('-')[0]}_key.pub\n"
            "Trust this key and remember it? [yes/no] "
        )
        return await self._ask(text, hidden=False) == "yes"

    async def line(self, question: str) -> str | None:
        """What was typed, shown as it is typed; None at Ctrl-D."""
        return await self._ask(question, hidden=False)

    async def _ask(self, text: str, *, hidden: bool) -> str | None:
        async with self._one:
            try:
                terminal = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                return None
            try:
                with _echo_off(terminal) if hidden else _as_it_is():
                    os.write(terminal, text.encode("utf-8", "replace"))
                    answer = await _read_line(terminal)
                    if hidden or answer is None:
                        os.write(terminal, b"\n")
                return answer
            finally:
                os.close(terminal)


async def _read_line(terminal: int) -> str | None:
    """One line in the terminal's own editing mode; None at end of file."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    while not got.endswith(b"\n"):
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_reader(terminal, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(terminal)
        data = os.read(terminal, _LIMIT)
        if not data or len(got) > _LIMIT:
            return None
        got += data
    return got.decode("utf-8", "replace").rstrip("\r\n")


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


@contextmanager
def _echo_off(terminal: int) -> Iterator[None]:
    """No echo, restored however this ends. TCSANOW: waiting for output to drain would block the loop
    for as long as nobody reads the terminal (Ctrl-S)."""
    before = termios.tcgetattr(terminal)
    quiet = before.copy()
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, quiet)
    termios.tcflush(terminal, termios.TCIFLUSH)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
