"""Start the probe on a host: find an interpreter and stream the agent to it, in one round trip.

One small sh script goes as the command line; it picks the first Python that works and starts it
with a boot line that reads exactly N bytes of compressed source from stdin. Nothing is written to
the host's disk, and the source is in no argument list. After it stdin carries the commands.
A host without Python gets agent.sh, the same way, in a second round trip.
"""

from __future__ import annotations

import asyncio
import functools
import re
import shlex
import zlib
from importlib import resources

from edxconsole.errors import NoInterpreter, ProbeDied, ProbeError
from edxconsole.probe.channel import ProbeChannel
from edxconsole.transport.base import Transport

START_TIMEOUT = 20.0
"""seconds from the command to the first frame; a loaded host compiles slowly"""

INTERPRETERS = (
    "python3",
    "/usr/libexec/platform-python",
    *(f"python3.{minor}" for minor in (14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4)),
    "python2.7",
    "python",
    "python2",
    "/edx/app/edxapp/venvs/edxapp/bin/python",
    "/edx/app/supervisor/venvs/supervisor/bin/python",
)

AGENT = (
    "agent_base.py",
    "agent_masks.py",
    "agent_gates.py",
    "agent_processes.py",
    "agent_exits.py",
    "agent_listeners.py",
    "agent_vitals.py",
    "agent_supervisor.py",
    "agent_supervisors.py",
    "agent_follow.py",
    "agent_stamps.py",
    "agent_files.py",
    "agent.py",
)
"""one program, one subject per file, in this order"""

_BOOT = (
    "import os,zlib\n"
    "b=b''\n"
    "while len(b)<{n}:\n"
    " c=os.read(0,{n}-len(b))\n"
    " if not c: os._exit(0)\n"
    " b+=c\n"
    "g={{'__name__':'__probe__'}}\n"
    "try:\n"
    " for b in zlib.decompress(b).split(b'\\0'): exec(compile(b,'edxprobe','exec'),g)\n"
    "except Exception:\n"
    " import traceback;traceback.print_exc();os._exit(70)"
)

_TEST = (
    "import sys,json,zlib,socket,select,struct,fcntl,resource;"
    "sys.exit(not((2,7)==sys.version_info[:2] or sys.version_info[:2]>=(3,4)))"
)

# $1 boot line, $2 flags, $3 "sudo" or "", $4 test, the rest are interpreters. With sudo there is
# no exec: a refusal by sudo (status 1) reads nothing from stdin, so that the second try finds it
# untouched; the boot line never ends with 1 itself.
_FIND = """
b=$1 f=$2 s=$3 t=$4
shift 4
for p in "$@"; do
  c=$(command -v "$p" 2>/dev/null) || continue
  case $p in *python3*|*platform*) o='-I -S -OO';; *) o='-E -s -S -OO';; esac
  "$c" $o -c "$t" </dev/null >/dev/null 2>&1 || continue
  if [ "$s" = sudo ] && [ "$(id -u)" != 0 ]; then
    sudo -n -- "$c" $o -c "$b" $f
    r=$?
    [ $r = 1 ] || [ $r = 127 ] || exit $r
    f="$f sudo=refused"
  fi
  exec "$c" $o -c "$b" $f
done
exit 97
"""

_NO_PYTHON = 97
_WORDS = re.compile(rb'^ *(?:#.*|"""(?:.|\n)*?""")\n', re.MULTILINE)
_NEXT = re.compile(rb"\n{3,}(?=\S)")


@functools.cache
def source(name: str) -> bytes:
    """One file of the agent."""
    return resources.files("edxconsole.probe").joinpath(name).read_bytes()


@functools.cache
def packed_agent() -> bytes:
    """The agent's program as it is sent: without comments and docstrings, compressed.

    One top-level definition after the other, so that compiling it costs the host 2 MB less.
    """
    parts = [part for name in AGENT for part in _NEXT.split(_WORDS.sub(b"", source(name)))]
    return zlib.compress(b"\n\0".join([*parts, b"main()"]), 9)


def python_command(python: str | None, become: str | None, read_only: bool) -> list[str]:
    """The argv that finds a Python and boots the agent in it."""
    boot = _BOOT.format(n=len(packed_agent()))
    flags = "ro" if read_only else "rw"
    found = [python, *INTERPRETERS] if python else list(INTERPRETERS)
    return ["sh", "-c", _FIND, "sh", boot, flags, "sudo" if become else "", _TEST, *found]


def shell_command(become: str | None) -> list[str]:
    """The argv that reads agent.sh from stdin, byte by byte as not to swallow the commands."""
    boot = f'eval "$(dd bs=1 count={len(source("agent.sh"))} 2>/dev/null)"'
    inner = ["sh", "-c", boot, "edxprobe"]
    if not become:
        return inner
    line = shlex.join(inner)
    return [
        "sh",
        "-c",
        f'if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then exec sudo -n -- {line}; fi; exec {line}',
    ]


async def launch(
    transport: Transport,
    *,
    python: str | None = None,
    become: str | None = None,
    read_only: bool = True,
) -> ProbeChannel:
    """Start the probe and wait for its first frame.

    Args:
        transport: connected; the probe takes one session of it.
        python: an interpreter to try first, a path or a name.
        become: not None: run as root if `sudo -n` allows it; if not, a Note says so.
        read_only: whether the probe shall refuse any verb that writes.

    Raises:
        NoInterpreter: there is neither Python nor a usable sh.
        ProbeDied: it ended before its first frame, with what it wrote to stderr.
        ProtocolViolation, TransportError.
    """
    program = await asyncio.to_thread(packed_agent)
    channel = await _start(transport, python_command(python, become, read_only), program)
    if await _greets(channel):
        return channel
    if channel.exit_status != _NO_PYTHON:
        raise ProbeDied(
            f"the probe did not start{_ended(channel)}",
            host=transport.host_name,
            remedy="see which Python and login shell this host has, or set `python:` for it in hosts.yaml",
        )
    script = await asyncio.to_thread(source, "agent.sh")
    channel = await _start(transport, shell_command(become), script)
    if await _greets(channel):
        return channel
    raise NoInterpreter(
        f"neither Python nor a usable sh was found{_because(channel)}",
        host=transport.host_name,
        remedy="set `python:` for this host in hosts.yaml or install python3",
    )


async def _start(transport: Transport, argv: list[str], program: bytes) -> ProbeChannel:
    process = await transport.process(argv)
    channel = ProbeChannel(process, transport.host_name)
    channel.begin(program)
    return channel


async def _greets(channel: ProbeChannel) -> bool:
    """Whether it said hello. Closes it if not; a ProtocolViolation or a lost connection passes."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await channel.wait_hello()
            return True
    except ProbeDied:
        await channel.close()
        return False
    except TimeoutError:
        await channel.close()
        raise ProbeDied(
            f"the probe said nothing for {START_TIMEOUT:.0f} s after its start{_because(channel)}",
            host=channel.host_name,
            remedy="the host may be overloaded or its shell may wait for input",
        ) from None
    except BaseException:
        await channel.close()
        raise


def _because(channel: ProbeChannel) -> str:
    return f": {channel.stderr_text}" if channel.stderr_text else ""


def _ended(channel: ProbeChannel) -> str:
    """How, with what was said meanwhile, also where Python should have spoken."""
    status = "" if channel.exit_status is None else f": it ended with status {channel.exit_status}"
    said = channel.stderr_text or channel.chatter
    return f"{status}, saying: {said}" if status and said else status or _because(channel)


__all__ = ["ProbeChannel", "ProbeError", "launch"]
