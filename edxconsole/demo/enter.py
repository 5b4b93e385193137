"""`python -m edxconsole.demo.enter PID [--user NAME] -- COMMAND...`: run a command inside a namespaced host.

PID is the host's PID 1 as seen by the caller. Works from inside the net and, for the user who started it,
from any other shell. The command dies with the caller; the exit status is the command's (128 + signal if
killed).
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Sequence

from edxconsole.demo import linux
from edxconsole.demo.hostinit import PATH

_KINDS = ("net", "mnt", "uts", "ipc", "pid")


def join_net(pid: int) -> None:
    """Move this process into the user and network namespaces of `pid` (a net's holder). Raises `OSError`."""
    net = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    owner = linux.owning_userns(net)
    if not _is_ours(owner, "user"):
        linux.setns(owner, linux.CLONE_NEWUSER)
    if not _is_ours(net, "net"):
        linux.setns(net)
    os.close(owner)
    os.close(net)


def join_host(pid: int) -> int:
    """Move this process into a host's namespaces; return an open fd of the host's own user namespace.

    The pid namespace holds for children only, so fork, then `finish_join` in the child.
    """
    user = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    kinds = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS]
    join_net(pid)
    for fd in kinds[1:]:
        linux.setns(fd)
        os.close(fd)
    os.close(kinds[0])
    return user


def finish_join(user_fd: int) -> None:
    """In the child made after `join_host`: enter the host's own user namespace, if it has one."""
    if not _is_ours(user_fd, "user"):
        linux.setns(user_fd, linux.CLONE_NEWUSER)
    linux.die_with_parent()


def _is_ours(fd: int, kind: str) -> bool:
    return os.path.samestat(os.fstat(fd), os.stat(f"/proc/self/ns/{kind}"))


def run_inside(pid: int, argv: Sequence[str], user: str | None = None) -> int:
    """Run a command in the host and wait. Returns its exit status, 128 + N if signal N killed it."""
    user_fd = join_host(pid)
    child = os.fork()
    if child == 0:
        try:
            finish_join(user_fd)
            _exec(argv, user)
        except (OSError, KeyError) as error:
            os.write(2, f"{argv[0]}: {error}\n".encode())
        os._exit(127)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _exec(argv: Sequence[str], user: str | None) -> None:
    account = pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())
    if user and account.pw_uid != os.getuid():
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir(account.pw_dir if os.path.isdir(account.pw_dir) else "/")
    env = {"PATH": PATH, "HOME": account.pw_dir, "USER": account.pw_name, "LANG": "C.UTF-8"}
    os.execvpe(argv[0], list(argv), env)


def main() -> int:
    """Entry point."""
    linux.die_with_parent()
    arguments = sys.argv[1:]
    split = arguments.index("--")
    options, argv = arguments[:split], arguments[split + 1 :]
    user = options[2] if len(options) == 3 and options[1] == "--user" else None
    return run_inside(int(options[0]), argv, user)


if __name__ == "__main__":
    sys.exit(main())
