"""`python -m edxconsole.demo.sshserver {ADDRESS PORT HOST_KEY AUTHORIZED_KEYS ROOT}`: for want of sshd.

Real SSH by asyncssh with public keys only: commands, terminals, sftp, and forwards to TCP ports and UNIX
sockets. Commands run with bash (or sh). ROOT is empty where the host has a root directory of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
import pty
import shutil
import signal
import struct
import sys
import termios

import asyncssh

_CHUNK = 65536
_SHELL = shutil.which("bash") or "/bin/sh"

Process = asyncssh.SSHServerProcess[bytes]


class _Server(asyncssh.SSHServer):
    """Lets an authenticated operator forward, as sshd does by default."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True

    def unix_connection_requested(self, dest_path: str) -> bool:
        return True


async def _handle(root: str, process: Process) -> None:
    argv = [_SHELL, "-c", process.command] if process.command else [_SHELL, "-l"]
    await (_terminal if process.term_type else _pipes)(process, argv, _environment(root), root or None)


def _environment(root: str) -> dict[str, str]:
    env = dict(os.environ)
    if root:
        env |= {"EDX_DEMO_ROOT": root, "EDX_DEMO_HOST": os.path.basename(root), "HOME": f"{root}/home"}
        env["PATH"] = f"{root}/edx/bin:" + env.get("PATH", os.defpath)
    return env


async def _pipes(process: Process, argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=-1, stdout=-1, stderr=-1, env=env, cwd=cwd, start_new_session=True
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    feed = asyncio.create_task(_feed(process, child.stdin))
    pumps = asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
    closed = asyncio.create_task(process.channel.wait_closed())
    either: set[asyncio.Future[object]] = {pumps, closed}  # type: ignore[arg-type]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    feed.cancel()
    if closed.done():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGHUP)
        pumps.cancel()
    else:
        closed.cancel()
    _exit(process, await child.wait())


async def _feed(process: Process, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await process.stdin.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _pump(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    with contextlib.suppress(ConnectionError, asyncssh.Error):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()


async def _terminal(process: Process, argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    leader, follower = pty.openpty()
    width, height, _, _ = process.term_size
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    child = await asyncio.create_subprocess_exec(
        "setsid", "-c", *argv, stdin=follower, stdout=follower, stderr=follower,
        env=env | {"TERM": process.term_type or "dumb"}, cwd=cwd,
    )  # fmt: skip
    os.close(follower)
    await process.redirect(stdin=os.dup(leader), stdout=leader, send_eof=False)
    _exit(process, await child.wait())


def _exit(process: Process, code: int) -> None:
    if code >= 0:
        process.exit(code)
    else:
        process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))


async def _main() -> None:
    words = iter(sys.argv[1:])
    for address, port, host_key, authorized, root in zip(words, words, words, words, words, strict=True):
        await asyncssh.create_server(
            _Server,
            address,
            int(port),
            server_host_keys=[host_key],
            authorized_client_keys=authorized,
            process_factory=functools.partial(_handle, root),
            encoding=None,
            sftp_factory=True,
            reuse_address=True,
        )
        print(f"listening on {address} port {port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
