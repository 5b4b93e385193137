"""From argv to what a login shell runs, and from a running process to a `Result`.

Facts (ssh.md sections 2, 4 and 9, OpenSSH 9.2 and sudo 1.9.13):
- sshd hands the command to the user's login shell, whichever it is: every word is quoted and
  `exec` stands in front, so that the command itself gets the kill signal.
- sudo's texts are translated, its `sudo: ` prefix is not; `sudo -n -l CMD` tells, running nothing,
  whether a command is permitted.
- sshd (9.2) sends signals only where it separates privileges, so not for a root login, and may not
  signal what sudo started. So each command first tells its pid on stderr (a line that is taken
  out again), and what a signal does not end is killed with its descendants from a second session,
  through sudo where it came from sudo (whose `use_pty`, Debian's default, gives the command a
  session of its own). Where that fails as well the error says so.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from edxconsole.errors import CommandFailed, CommandTimedOut, ConnectionLost, TransportError
from edxconsole.transport.base import ByteReader, Process, Result
from edxconsole.transport.chatter import NoMarker, read_past

CHUNK = 256 * 1024
KILL_WAIT = 0.5
KILL_TURNS = 10
LINGER = 1.0
PID_WITHIN = 64 * 1024
RunPlain = Callable[[Sequence[str]], Awaitable[Result]]
_First = Callable[[ByteReader], Awaitable[bytes]]

_TELL_PID = 'echo EDX-PID $$ >&2; exec "$@"'
_TELL_BEGIN = f"echo EDX-BEGINS; {_TELL_PID}"
_UNPACK = 'eval "$(printf %b "$1")"'
_NOT_IN_QUOTES = re.compile(r"[\n!\\]")
_KILL = r"""
tree=$(ps -e -o pid= -o ppid= | awk -v top="$1" '{ up[$1] = $2 }
    END { for (i in up) { x = i; while (x in up && x != top && x > 1) x = up[x]; if (x == top) print i } }')
kill -9 "-$1" ${tree:-"$1"} 2>/dev/null
[ -z "$2" ] || sudo -n -- kill -9 ${tree:-"$1"} 2>/dev/null || sudo -n -u "$2" -- kill -9 ${tree:-"$1"}
for turn in 1 2 3 4 5 6 7 8 9 10; do
    case $(ps -o stat= -p "$1") in ''|Z*) exit 0 ;; esac
    sleep 0.1
done
exit 1
"""
_PID = re.compile(rb"EDX-PID (\d+)\r?\n")
_BEGINS = b"EDX-BEGINS\n"
_SUDO_NOISE = re.compile(rb"^sudo: (unable to resolve host|.*: warning)")
_START_FAILURES = rb": (?:command )?(?:not found|No such file or directory|Permission denied|cannot execute)"


class RunningProcess(Process, Protocol):
    """A process that can be found on the host."""

    @property
    def pid(self) -> int | None:
        """Of the command's process group, once known."""
        ...

    @property
    def signal(self) -> str | None:
        """What killed it, e.g. KILL."""
        ...


def become_argv(argv: Sequence[str], become: str | None) -> tuple[str, ...]:
    """argv as it is run: through `sudo -n -u USER --` when `become` names a user."""
    if not argv:
        raise ValueError("an empty command")
    if become is None:
        return tuple(argv)
    if become.startswith("-"):
        raise ValueError(f"not a user name: {become!r}")
    return ("sudo", "-n", "-u", become, "--", *argv)


def command_line(argv: Sequence[str], become: str | None = None, *, tell_begin: bool = False) -> str:
    """One line for a login shell of any kind; tells its pid in the form `PidLine` takes out.

    `tell_begin`: on stdout it tells where the command's own output begins (see `collect`).

    Within quotes csh breaks at newlines and expands `!`, and fish takes backslashes away: a line
    that has any of these goes to sh with them written as octal numbers.
    """
    tell = _TELL_BEGIN if tell_begin else _TELL_PID
    line = "exec " + shlex.join(("sh", "-c", tell, "sh", *become_argv(argv, become)))
    if not _NOT_IN_QUOTES.search(line):
        return line
    octal = _NOT_IN_QUOTES.sub(lambda found: f"\\0{ord(found[0]):03o}", line)
    return "exec " + shlex.join(("sh", "-c", _UNPACK, "sh", octal))


class PidLine:
    """Takes the pid line out of a command's stderr; a login shell may have written before it."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self._held: bytes | None = b""

    def strip(self, data: bytes) -> bytes:
        """What is to be passed on of `data` and of what was held back."""
        if self._held is None:
            return data
        self._held += data
        match = _PID.search(self._held)
        if match is None and len(self._held) < PID_WITHIN:
            return b""
        rest = self._held
        if match is not None:
            self.pid = int(match[1])
            rest = rest[: match.start()] + rest[match.end() :]
        self._held = None
        return rest

    def rest(self) -> bytes:
        """At EOF: what was held back."""
        held, self._held = self._held, None
        return held or b""


def kill_signal(become: str | None) -> str:
    """sudo passes SIGTERM on; its own SIGKILL would leave the command behind, with no parent."""
    return "KILL" if become is None else "TERM"


def kill_argv(pid: int, become: str | None) -> tuple[str, ...]:
    """Kills a command and all that descends from it, from another session."""
    return ("sh", "-c", _KILL, "sh", str(pid), become or "")


async def collect(
    host: str,
    argv: Sequence[str],
    process: RunningProcess,
    *,
    stdin: bytes,
    timeout: float,
    max_output: int,
    become: str | None = None,
    kill: RunPlain | None = None,
    told_begin: bool = False,
) -> Result:
    """Feed stdin, read both streams at once, wait; always closes the process.

    Args:
        told_begin: what a talking login shell said before the command began is left out of stdout.
        kill: runs `kill_argv` for what a signal does not end.

    Raises CommandTimedOut (after killing it) and ConnectionLost.
    """
    began = time.monotonic()
    reading = _Reading(process, max_output, told_begin=told_begin)
    feeding = asyncio.create_task(_feed(process, stdin))
    status: int | None = None
    try:
        async with asyncio.timeout(timeout):
            exited = asyncio.ensure_future(process.wait())
            try:
                await reading.done(exited)
                if not reading.cut:
                    status = await exited
            finally:
                exited.cancel()
    except TimeoutError:
        ended = await stop(process, become, kill)
        state = "was killed" if ended else "could not be killed: it may still run there"
        raise CommandTimedOut(
            f"`{shlex.join(argv)[:200]}` did not end within {timeout:g} s and {state}",
            host=host,
            remedy="the host may be overloaded; look at its load and disks",
        ) from None
    finally:
        feeding.cancel()
        await reading.end()
        if reading.cut:
            await stop(process, become, kill)
        await process.close()
    signal = "KILL" if reading.cut else process.signal
    return Result(tuple(argv), status, reading.stdout, reading.stderr, signal, time.monotonic() - began)


async def stop(process: RunningProcess, become: str | None, kill: RunPlain | None) -> bool:
    """Signal it, then kill it from another session; whether it is known to have ended.

    A signal before the command has started is lost, so it is sent again until its pid is known.
    """
    process.kill()
    exited = asyncio.ensure_future(process.wait())
    try:
        for _ in range(KILL_TURNS):
            await asyncio.wait((exited,), timeout=KILL_WAIT)
            if exited.done():
                return True
            if process.pid is not None:
                break
            process.kill()
    finally:
        exited.cancel()
    pid = process.pid
    await process.close()
    if pid is None or kill is None:
        return False
    try:
        return (await kill(kill_argv(pid, become))).ok
    except TransportError:
        return False


async def _feed(process: Process, stdin: bytes) -> None:
    """A command may end without reading its stdin: that is not an error."""
    with suppress(ConnectionLost, OSError):
        for start in range(0, len(stdin), CHUNK):
            process.stdin.write(stdin[start : start + CHUNK])
            await process.stdin.drain()
        process.stdin.write_eof()


class _Reading:
    """Both outputs of a command until EOF, or until one is longer than `most`."""

    def __init__(self, process: Process, most: int, *, told_begin: bool) -> None:
        self._most = most
        self._parts: tuple[list[bytes], list[bytes]] = ([], [])
        self._cut = asyncio.Event()
        self._size = 0
        first = _after_chatter if told_begin else _at_once
        self._tasks = [
            asyncio.create_task(self._read(process.stdout, self._parts[0], first)),
            asyncio.create_task(self._read(process.stderr, self._parts[1], _at_once)),
        ]

    @property
    def cut(self) -> bool:
        return self._cut.is_set()

    @property
    def stdout(self) -> bytes:
        return b"".join(self._parts[0])

    @property
    def stderr(self) -> bytes:
        return b"".join(self._parts[1])

    async def done(self, exited: asyncio.Future[int | None]) -> None:
        """Until both ended, or the command did and a daemon it left holds its outputs, silent."""
        both = asyncio.ensure_future(asyncio.wait(self._tasks))
        try:
            await asyncio.wait((both, exited), return_when=asyncio.FIRST_COMPLETED)
            seen = -1
            while not both.done() and seen != self._size:
                seen = self._size
                await asyncio.wait((both,), timeout=LINGER)
        finally:
            both.cancel()
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, reader: ByteReader, parts: list[bytes], first: _First) -> None:
        size, data = 0, await first(reader)
        while data and not self.cut:
            parts.append(data[: self._most - size])
            size += len(data)
            self._size += len(data)
            if size > self._most:
                self._cut.set()
                for task in self._tasks:
                    if task is not asyncio.current_task():
                        task.cancel()
            else:
                data = await reader.read(CHUNK)


async def _at_once(reader: ByteReader) -> bytes:
    return await reader.read(CHUNK)


async def _after_chatter(reader: ByteReader) -> bytes:
    """The first of the command's own output; all there was, where the command never began."""
    try:
        return await read_past(_BEGINS, reader) or await reader.read(CHUNK)
    except NoMarker as none:
        return none.said


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
            raise await sudo_refusal(host, user, result.argv, become, _last_line(lines[0]), run)


async def _refused(result: Result, become: str, run: RunPlain) -> bool:
    listed = await run(("sudo", "-n", "-l", "-u", become, "--", *result.argv))
    return not listed.ok


async def sudo_refusal(
    host: str, user: str, argv: Sequence[str], become: str, said: str, run: RunPlain
) -> CommandFailed:
    """What sudo did not permit, with the sudoers line that would. `said`: its first line."""
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
