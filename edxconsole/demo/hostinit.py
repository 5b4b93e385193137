"""`python -m edxconsole.demo.hostinit MODE PARENT`: become one namespaced host.

The spec comes as one JSON line on stdin; the outcome goes to stdout as JSON lines: `{"pid": N}` (the host's
PID 1 as the caller sees it), then `{"ready": true}` or `{"error": "..."}`. The process that was started stays
outside of the host as its keeper and dies with the thread that started it; PID 1 dies with the keeper, and
everything in the host with PID 1. Nothing gets a name that could be left over.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
from pathlib import Path

from edxconsole.demo import linux, rootfs
from edxconsole.demo.hostspec import HostSpec, Mode, Service
from edxconsole.demo.rtnetlink import Rtnetlink

BRIDGE = "br0"
PREFIX = 16
_INIT = 'trap "exit 0" TERM; trap "" INT; while :; do sleep 86400 & wait $!; done'
"""a shell reaps orphans while it waits, and takes a tenth of an interpreter's memory"""
_KEEPER = "import os, sys; sys.exit(os.waitstatus_to_exitcode(os.waitpid(int(sys.argv[1]), 0)[1]) & 255)"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def veth_name(address: str) -> str:
    """The name of a host's link on the bridge side, unique by address: `v1.11` for 10.88.1.11."""
    return "v" + ".".join(address.split(".")[2:])


def gateway_of(address: str) -> str:
    """The bridge's own address in the net of `address`: a.b.0.1."""
    return ".".join(address.split(".")[:2]) + ".0.1"


def main() -> None:
    """Entry point; returns only if the host can't be made, else this process becomes its keeper."""
    linux.die_with(int(sys.argv[2]))
    mode = Mode(sys.argv[1])
    spec = HostSpec.from_json(sys.stdin.readline())
    alive_read, alive_write = os.pipe()
    os.set_inheritable(alive_write, True)
    try:
        _make_namespaces(spec)
        pid = os.fork()
        if pid == 0:
            os.close(alive_write)
            _become_host(spec, mode, alive_read)
    except OSError as error:
        _tell(error=f"{error.strerror or error}")
        sys.exit(1)
    os.close(alive_read)
    _tell(pid=pid)
    _silence_stdio()
    # The same process goes on as a bare interpreter: half the memory, and the parent-death signal stays.
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", _KEEPER, str(pid)])


def _tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _silence_stdio() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _make_namespaces(spec: HostSpec) -> None:
    with Rtnetlink() as outside:
        linux.unshare(
            linux.CLONE_NEWNET
            | linux.CLONE_NEWNS
            | linux.CLONE_NEWUTS
            | linux.CLONE_NEWIPC
            | linux.CLONE_NEWPID
        )
        link = veth_name(spec.address)
        outside.add_veth(link, "eth0", os.getpid())
        outside.set_up(link, master=BRIDGE)
    with Rtnetlink() as inside:
        inside.set_up("lo")
        inside.add_address("eth0", spec.address, PREFIX)
        inside.set_up("eth0")
        inside.add_default_route(gateway_of(spec.address))


def _become_host(spec: HostSpec, mode: Mode, alive: int) -> None:
    """Run as PID 1 of the new pid namespace. Never returns."""
    try:
        linux.die_with_parent()
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)
        linux.sethostname(spec.name)
        rootfs.enter_new_root(spec, mode)
        if mode is Mode.USER:
            _become_ordinary_user()
        os.umask(0o022)
        for service in spec.services:
            _start(service, mode)
        _tell(ready=True)
        _silence_stdio()
        os.execv("/bin/sh", ["init", "-c", _INIT])
    except OSError as error:
        _tell(error=str(error))
    os._exit(1)


def _become_ordinary_user() -> None:
    """Nest one more user namespace where our uid is 1000.

    sshd as uid 0 with a single mapped uid refuses to run (no sshd user, privilege separation); as uid 1000 it
    is an ordinary single-user sshd. And processes in the host have no power over its mounts and network.
    """
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    uid, gid = os.getuid(), os.getgid()
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(f"{gid} {gid}")
    linux.unshare(linux.CLONE_NEWUSER)
    linux.map_single_id(rootfs.USER_UID, rootfs.USER_UID, uid, gid)
    linux.die_with_parent()
    linux.set_dumpable()


def _start(service: Service, mode: Mode) -> None:
    if os.fork():
        return
    home, user = (f"/home/{rootfs.USER_NAME}", rootfs.USER_NAME) if mode is Mode.USER else ("/root", "root")
    try:
        Path(service.log).parent.mkdir(parents=True, exist_ok=True)
        log = os.open(service.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.setsid()
        os.chdir(service.cwd)
        env = {"PATH": PATH, "HOME": home, "USER": user, "LANG": "C.UTF-8", **service.env}
        os.execvpe(service.argv[0], service.argv, env)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(2, f"{service.argv[0]}: {error}\n".encode())
    os._exit(127)


if __name__ == "__main__":
    main()
