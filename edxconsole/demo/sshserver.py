"""`python -m edxconsole.demo.sshserver PARENT FILE|-`: SSH into every host of the demo, for want of sshd.

One process for all hosts (asyncssh takes 25 MiB): a thread per host moves into the host's namespaces and
serves from there, so listeners, forwards, terminals, files and the processes of a session are the host's own.
FILE (or stdin) is one JSON line, a list of `Door`s. PARENT is the process it dies with, 0 for none.

Real SSH by asyncssh with public keys only: commands, terminals, sftp, and forwards to TCP ports and UNIX
sockets. Commands run with bash (or sh).
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edxconsole.demo import linux
from edxconsole.demo.door import Door

_KINDS = ("mnt", "uts", "ipc", "net", "pid")
_RESOLVERS = 2


if sys.version_info < (3, 12):

    class _ChildWatcher(threading.local, asyncio.PidfdChildWatcher):
        """As Python has it from 3.12 on: a loop in any thread learns of its children by itself."""


def _enter(pid: int) -> ThreadPoolExecutor:
    """Move this thread into a host's namespaces; its next children are processes of the host.

    A thread whose children belong elsewhere can't start threads, so those that resolve names are started
    before; they are in the host's mount and network namespaces by then.
    """
    namespaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in _KINDS]
    linux.unshare(linux.CLONE_FS)
    for namespace in namespaces[:-1]:
        linux.setns(namespace)
    resolvers = ThreadPoolExecutor(_RESOLVERS)
    together = threading.Barrier(_RESOLVERS)
    for waiting in [resolvers.submit(together.wait) for _ in range(_RESOLVERS)]:
        waiting.result()
    linux.setns(namespaces[-1])
    for namespace in namespaces:
        os.close(namespace)
    return resolvers


def main() -> None:
    """Entry point."""
    if parent := int(sys.argv[1]):
        linux.die_with(parent)
    from edxconsole.demo.sshsession import serve  # takes a second: while the launcher makes the hosts

    logging.basicConfig(level=logging.WARNING)
    text = sys.stdin.readline() if sys.argv[2] == "-" else Path(sys.argv[2]).read_text()
    if sys.version_info < (3, 12):
        asyncio.set_child_watcher(_ChildWatcher())

    def run(door: Door) -> None:
        gone = os.pidfd_open(door.pid) if door.pid else None
        resolvers = _enter(door.pid) if door.pid else None
        with asyncio.Runner() as runner:
            if sys.version_info < (3, 12):
                asyncio.get_child_watcher().attach_loop(runner.get_loop())
            runner.run(serve(door, gone, resolvers))

    threads = [threading.Thread(target=run, args=(door,), name=door.name) for door in Door.read(text)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
