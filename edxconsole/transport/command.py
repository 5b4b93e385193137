"""From argv to what a login shell runs, and from a running process to a `Result`.

Facts (ssh.md sections 2, 4 and 9, OpenSSH 9.2 and sudo 1.9.13):
- sshd hands the command to the user's login shell, whichever it is: every word is quoted and
  `exec` stands in front, so that the command itself gets the kill signal.
- sudo's texts are translated, its `sudo: ` prefix is not; `sudo -n -l CMD` tells, running nothing,
  whether a command is permitted.
- sshd may not signal what sudo started (EPERM): a command run through sudo that does not end
  when its streams close may live on after a timeout, and the error says so.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from edxconsole.errors import CommandFailed, CommandTimedOut, ConnectionLost
from edxconsole.transport.base import ByteReader, Process, Result

CHUNK = 256 * 1024
RunPlain = Callable[[Sequence[str]], Awaitable[Result]]

_SUDO_NOISE = re.compile(rb"^sudo: (unable to resolve host|.*: warning)")
_START_FAILURES = rb": (?:command )?(?:not found|No such file or directory|Permission denied|cannot execute)"


def become_argv(argv: Sequence[str], become: str | None) -> tuple[str, ...]:
    """argv as it is run: through `sudo -n -u USER --` when `become` names a user."""
    if not argv:
        raise ValueError("an empty command")
    if become is None:
        return tuple(argv)
    if become.startswith("-"):
        raise ValueError(f"not a user name: {become!r}")
    return ("sudo", "-n", "-u", become, "--", *argv)


def command_line(argv: Sequence[str], become: str | None = None) -> str:
    """One line for a login shell of any kind."""
    return "exec " + shlex.join(become_argv(argv, become))


async def collect(
    host: str,
    argv: Sequence[str],
    process: Process,
    *,
    stdin: bytes,
    timeout: float,
    max_output: int,
    become: str | None = None,
) -> Result:
    """Feed stdin, read both streams at once, wait; always closes the process.

    Raises CommandTimedOut (after killing it) and ConnectionLost.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            feeding = asyncio.create_task(_feed(process, stdin))
            try:
                out, err = await asyncio.gather(
                    _read_some(process, process.stdout, max_output),
                    _read_some(process, process.stderr, max_output),
                )
                status = await process.wait()
            finally:
                feeding.cancel()
    except TimeoutError:
        process.kill()
        lives_on = f"; started through sudo, it may still run there as {become}" if become else ""
        raise CommandTimedOut(
            f"`{shlex.join(argv)[:200]}` did not end within {timeout:g} s and was killed{lives_on}",
            host=host,
            remedy="the host may be overloaded; look at its load and disks",
        ) from None
    finally:
        await process.close()
    signal = getattr(process, "signal", None)
    return Result(tuple(argv), status, out, err, signal, time.monotonic() - began)


async def _feed(process: Process, stdin: bytes) -> None:
    """A command may end without reading its stdin: that is not an error."""
    with suppress(ConnectionLost, OSError):
        for start in range(0, len(stdin), CHUNK):
            process.stdin.write(stdin[start : start + CHUNK])
            await process.stdin.drain()
        process.stdin.write_eof()


async def _read_some(process: Process, reader: ByteReader, most: int) -> bytes:
    """Until EOF or `most` bytes; beyond that the command is killed and the rest discarded."""
    parts: list[bytes] = []
    size = 0
    while data := await reader.read(CHUNK):
        if size < most:
            parts.append(data[: most - size])
        size += len(data)
        if size > most:
            process.kill()
            break
    while size > most and await reader.read(CHUNK):
        pass
    return b"".join(parts)


async def check_start(host: str, user: str, result: Result, become: str | None, run: RunPlain) -> None:
    """Raise CommandFailed when the command was never started: not found, or refused by sudo."""
    if result.exit_status in (126, 127) and not result.stdout:
        program = become_argv(result.argv, become)[0]
        if re.search(re.escape(program.encode()) + _START_FAILURES, result.stderr):
            raise CommandFailed(
                f"{program} can't be started: {_last_line(result.stderr)}",
                host=host,
                remedy="install it or correct its path",
            )
    if become is not None and result.exit_status == 1 and not result.stdout:
        lines = [x for x in result.stderr.splitlines() if x.strip() and not _SUDO_NOISE.match(x)]
        if lines and (all(x.startswith(b"sudo: ") for x in lines) or await _refused(result, become, run)):
            raise await sudo_refusal(host, user, result.argv, become, _last_line(result.stderr), run)


async def _refused(result: Result, become: str, run: RunPlain) -> bool:
    listed = await run(("sudo", "-n", "-l", "-u", become, "--", *result.argv))
    return not listed.ok


async def sudo_refusal(
    host: str, user: str, argv: Sequence[str], become: str, said: str, run: RunPlain
) -> CommandFailed:
    """What sudo did not permit, with the sudoers line that would."""
    if re.search(r": command not found$", said):
        return CommandFailed(said.removeprefix("sudo: "), host=host, remedy="install it or correct its path")
    if "unknown user" in said:
        return CommandFailed(said.removeprefix("sudo: "), host=host, remedy="name a user of this host")
    path = argv[0]
    if not path.startswith("/"):
        found = await run(("sh", "-c", 'command -v -- "$1"', "sh", path))
        path = found.text.strip() or path
    return CommandFailed(
        f"sudo did not let {user} run {argv[0]} as {become} ({said})",
        host=host,
        remedy=f"add to /etc/sudoers.d/edxconsole there: {sudoers_line(user, become, (path, *argv[1:]))}",
    )


def sudoers_line(user: str, become: str, argv: Sequence[str]) -> str:
    """The least rule that permits exactly this command (sudoers(5) quoting)."""
    command = " ".join(re.sub(r'([\\,:=\s"*?\[\]!#])', r"\\\1", word) or '""' for word in argv)
    return f"{user} ALL=({become}) NOPASSWD: {command}"


def _last_line(text: bytes) -> str:
    lines = [x for x in text.decode("utf-8", "replace").splitlines() if x.strip()]
    return "".join(c for c in (lines[-1] if lines else "no message") if c.isprintable())[:200]
