"""The transport that hosts.yaml asks for. The SSH libraries are imported only when one is made."""

from __future__ import annotations

from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import Prompter, Transport
from edxconsole.transport.pool import ConnectionPool

__all__ = ["ConnectionPool", "make_transport"]


def make_transport(
    host: Host, inventory: Inventory, prompter: Prompter, *, pool: ConnectionPool | None = None
) -> Transport:
    """A transport for one host, not connected yet.

    Args:
        pool: what the engine's connections share; without one the transport has its own, and jump
            hosts and passphrases are not shared. Imports asyncssh (0.5 s) or paramiko.
    """
    if host.transport == "local":
        from edxconsole.transport.local_transport import LocalTransport

        return LocalTransport(host)
    pool = pool or ConnectionPool(inventory, prompter)
    if host.transport == "paramiko":
        from edxconsole.transport.paramiko_transport import ParamikoTransport

        return ParamikoTransport(host, pool)
    from edxconsole.transport.asyncssh_transport import AsyncsshTransport

    return AsyncsshTransport(host, pool)
