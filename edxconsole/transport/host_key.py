"""Trust in two phases: a key that is not pinned ends the connection, then the operator is asked.

Nothing switches checking off. A changed key is refused, always; there is no "continue anyway".
"""

from __future__ import annotations

import asyncio
import base64

from edxconsole.errors import HostKeyChanged, HostKeyUnknown
from edxconsole.transport.known_hosts import Trust, fingerprint, host_pattern, key_kind, own_file
from edxconsole.transport.pool import ConnectionPool, ask_trust
from edxconsole.transport.ssh_resolve import Target


async def check_host_key(
    pool: ConnectionPool, target: Target, trust: Trust, blob: bytes, *, authority: bool = False
) -> None:
    """Return when the operator accepted and the key was pinned. Call with a key not in `trust`.

    Raises HostKeyChanged, or HostKeyUnknown when it is declined.
    """
    kind, printed = key_kind(blob), fingerprint(blob)
    refusal = changed(target, trust, blob, authority=authority)
    if refusal is not None:
        raise refusal
    line = f"{kind} {base64.b64encode(blob).decode()}"
    loop = asyncio.get_running_loop()
    async with pool.lock(("trust", target.key_name, target.port)):
        lookup = pool.known_hosts.lookup
        again = await loop.run_in_executor(None, lookup, target.known_hosts, target.key_name, target.port)
        if any(key.blob == blob for key in again.keys):
            return
        if await ask_trust(pool, target.name, target.address, kind, printed):
            await loop.run_in_executor(None, pool.known_hosts.pin, target.key_name, target.port, line)
            return
    raise HostKeyUnknown(
        f"its {kind} key {printed} is not known",
        fingerprint=printed,
        key=line,
        host=target.name,
        remedy=f"compare it with the host's own, then run `edxconsole trust {target.name}`",
    )


def changed(target: Target, trust: Trust, blob: bytes, *, authority: bool = False) -> HostKeyChanged | None:
    """The refusal, when the host is known under other keys or this one is revoked."""
    kind, printed = key_kind(blob), fingerprint(blob)
    if any(key.blob == blob for key in trust.revoked):
        return HostKeyChanged(
            f"its key {printed} is marked revoked in {trust.revoked[0].where}", host=target.name
        )
    if authority:
        return HostKeyChanged(
            f"its certificate is signed by {printed}, which is no authority in known_hosts", host=target.name
        )
    if not trust.pinned_by_name:
        return None
    pattern = host_pattern(target.key_name, target.port)
    return HostKeyChanged(
        f"its host key CHANGED: it shows {kind} {printed}, but {trust.where} has another; "
        "someone may be listening in, or the host was reinstalled",
        host=target.name,
        remedy=f"if you know why, remove the old key with `ssh-keygen -R '{pattern}' -f {_file(trust)}`",
    )


def _file(trust: Trust) -> str:
    return trust.where.rpartition(":")[0] or str(own_file())
