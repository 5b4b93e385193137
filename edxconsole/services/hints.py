"""When to look again where nothing tells of changes, without polling by spawning processes.

The probe sees processes and sockets anyway. What an init system manages shows there as a child of
process 1 or as a listening socket; the short-lived processes of our own look do not, so that one
look never leads to the next.
"""

from __future__ import annotations

import asyncio

from edxconsole.cluster.model import HostSnapshot
from edxconsole.cluster.watcher import HostPort

Trace = frozenset[tuple[int | str, ...]]


def trace(snapshot: HostSnapshot) -> Trace:
    """What daemons leave to be seen: (pid, start) of process 1's children, and listening sockets."""
    daemons = ((p.pid, p.start) for p in snapshot.processes.values() if p.ppid == 1)
    sockets = ((s.proto, s.address, s.port) for s in snapshot.listeners)
    return frozenset((*daemons, *sockets))


class Hints:
    """Tells when the daemons of a host may have changed since the last time it told."""

    def __init__(self, host: HostPort) -> None:
        self._host = host
        self._seen = trace(host.snapshot)

    async def changed(self, within: float) -> bool:
        """True as soon as there is a change, also one that came between calls; False after `within` s."""
        try:
            async with asyncio.timeout(within):
                while (now := trace(self._host.snapshot)) == self._seen:
                    await self._host.wait_change()
        except TimeoutError:
            return False
        self._seen = now
        return True
