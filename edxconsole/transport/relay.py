"""A TCP port or UNIX socket on the host through one exec channel, where sshd forwards nothing.

A small Python program (2.7 to 3.14) copies both ways and keeps half-closed streams; socat or nc
do where there is no Python. Through sudo, socat and nc come first, because a sudoers rule can
name them exactly. Traps met:
- sshd sends EOF only when stdout *and* stderr of the command are closed, so the relay closes both;
  sudo itself holds them open, so behind sudo the relay ends when the server closes;
- socat ends half a second after its stdin does unless told otherwise (-t);
- a command that waits for a server outlives a lost client: the relay polls its stdout for hang-up.
"""

from __future__ import annotations

import asyncio
import os
import re

from edxconsole.errors import TransportError
from edxconsole.transport.base import ByteReader, Endpoint, Process, Stream, TcpEndpoint
from edxconsole.transport.chatter import NoMarker, read_past

_PROGRAM = """
import os, select, socket, sys, threading
kind, a, b, through = sys.argv[1:5]
try:
    if kind == 'unix':
        s = socket.socket(socket.AF_UNIX)
        s.connect(a)
    else:
        s = socket.create_connection((a, int(b)), 10)
        s.settimeout(None)
except EnvironmentError as e:
    os.write(2, ('EDX-RELAY errno %s %s\\n' % (e.errno or 0, e.strerror or e)).encode())
    sys.exit(1)
os.write(2, b'EDX-RELAY ok\\n')
lock = threading.Lock()
ended = []
def down():
    try:
        while 1:
            d = s.recv(65536)
            if not d:
                break
            while d:
                d = d[os.write(1, d):]
    except EnvironmentError:
        os._exit(0)
    with lock:
        if through == 'sudo' or ended:
            os._exit(0)
        ended.append(1)
        n = os.open(os.devnull, os.O_RDWR)
        os.dup2(n, 1)
        os.dup2(n, 2)
t = threading.Thread(target=down)
t.daemon = True
t.start()
try:
    while 1:
        d = os.read(0, 65536)
        if not d:
            break
        s.sendall(d)
    s.shutdown(1)
except EnvironmentError:
    os._exit(0)
with lock:
    if ended:
        os._exit(0)
    ended.append(1)
p = select.poll()
p.register(1, 0)
p.poll()
os._exit(0)
"""

_SCRIPT = r"""
echo EDX-RELAY begins
py=$1 kind=$2 a=$3 b=$4 owner=$5 plain=$6
try() {
    bin=$(command -v -- "$1") || return
    shift
    [ -z "$owner" ] && exec "$bin" "$@"
    sudo -n -l -u "$owner" -- "$bin" "$@" >/dev/null 2>&1 && exec sudo -n -u "$owner" -- "$bin" "$@"
}
pythons() {
    for p in python3 /usr/libexec/platform-python python python2.7; do
        try "$p" -c "$py" "$kind" "$a" "$b" "${owner:+sudo}"
    done
}
[ -n "$owner" ] || pythons
if [ "$plain" = 1 ]; then
    if [ "$kind" = unix ]; then to=UNIX-CONNECT:$a; else to=TCP:$a:$b; fi
    try socat -d -d -t3600 - "$to"
    if command -v nc >/dev/null; then
        echo EDX-RELAY maybe >&2
        if [ "$kind" = unix ]; then try nc -N -U "$a"; else try nc -N "$a" "$b"; fi
    fi
fi
[ -z "$owner" ] || pythons
echo EDX-RELAY none >&2
exit 1
"""

_PLAIN = re.compile(r"[A-Za-z0-9._/@+-]+\Z")
_NC_SETTLES = 0.3
_BEGINS = b"EDX-RELAY begins\n"


class RelayRefused(TransportError):
    """The relay could not connect. `errno` of the host, 0 when unknown, -1: sudo or no program."""

    def __init__(self, cause: str, *, errno: int, host: str | None = None) -> None:
        super().__init__(cause, host=host)
        self.errno = errno


def relay_argv(endpoint: Endpoint, owner: str | None = None) -> tuple[str, ...]:
    """The command that relays; `owner` makes it pass through `sudo -n -u owner`."""
    if isinstance(endpoint, TcpEndpoint):
        kind, first, second = "tcp", endpoint.host, str(endpoint.port)
    else:
        kind, first, second = "unix", endpoint.path, "-"
    plain = "1" if _PLAIN.match(first) and not first.startswith("-") else "0"
    return ("sh", "-c", _SCRIPT, "edx-relay", _PROGRAM.strip(), kind, first, second, owner or "", plain)


def sudo_argv(endpoint: Endpoint) -> tuple[str, ...]:
    """The command to permit in sudoers for the relay to work as the socket's owner."""
    if isinstance(endpoint, TcpEndpoint):
        return ("/usr/bin/socat", "-d", "-d", "-t3600", "-", f"TCP:{endpoint.host}:{endpoint.port}")
    return ("/usr/bin/socat", "-d", "-d", "-t3600", "-", f"UNIX-CONNECT:{endpoint.path}")


async def handshake(process: Process, host: str, rung: str) -> Stream:
    """Wait until the relay has connected. Raises RelayRefused; closes the process then."""
    try:
        await _connected(process, host)
        first = await read_past(_BEGINS, process.stdout)
    except NoMarker:
        await process.close()
        raise RelayRefused(
            "its login shell talks, make its start-up files silent", errno=0, host=host
        ) from None
    except BaseException:
        await process.close()
        raise
    return Stream(RelayReader(process.stdout, first), RelayWriter(process), rung)


async def _connected(process: Process, host: str) -> None:
    said = b""
    while True:
        try:
            async with asyncio.timeout(_NC_SETTLES if b"EDX-RELAY maybe" in said else None):
                data = await process.stderr.read(4096)
        except TimeoutError:
            return
        said += data
        if b"EDX-RELAY ok\n" in said or b"starting data transfer loop" in said:
            return
        match = re.search(rb"EDX-RELAY errno (\d+)[^\n]*\n", said)
        if match:
            raise RelayRefused(os.strerror(int(match[1])), errno=int(match[1]), host=host)
        if b"EDX-RELAY none\n" in said:
            raise RelayRefused("sudo permits no relay, or there is none", errno=-1, host=host)
        if not data:
            raise _ended(said, host)


def _ended(said: bytes, host: str) -> RelayRefused:
    text = said.decode("utf-8", "replace")
    for number in (13, 2, 111):
        if os.strerror(number) in text:
            return RelayRefused(os.strerror(number), errno=number, host=host)
    last = "".join(c for c in (text.strip().splitlines() or ["it ended at once"])[-1] if c.isprintable())
    return RelayRefused(last[:200], errno=0, host=host)


class RelayReader:
    """A relay's stdout, with `first` before it."""

    def __init__(self, stdout: ByteReader, first: bytes) -> None:
        self._stdout = stdout
        self._first = first

    async def read(self, n: int = -1) -> bytes:
        """Raises ConnectionLost."""
        if not self._first:
            return await self._stdout.read(n)
        if n < 0:
            data, self._first = self._first, b""
            return data + await self._stdout.read(n)
        data, self._first = self._first[:n], self._first[n:]
        return data


class RelayWriter:
    """Writes to a relay's stdin; closing it ends the relay's channel."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._closing: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        self._process.stdin.write(data)

    async def drain(self) -> None:
        await self._process.stdin.drain()

    def write_eof(self) -> None:
        self._process.stdin.write_eof()

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._process.close())

    async def wait_closed(self) -> None:
        if self._closing is not None:
            await self._closing
