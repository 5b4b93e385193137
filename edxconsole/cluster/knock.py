"""Notices within a second that an unplugged host answers again.

A TCP connection that is being tried while a host is away asks again after 1, 2, 4, 8 s only: by
the time its host is back it may sit out seconds. A fresh one each second does not.
"""

from __future__ import annotations

import asyncio

from edxconsole.transport.base import ConnectionInfo

PERIOD = 1.0


def knockable(info: ConnectionInfo | None) -> tuple[str, int] | None:
    """Address and port for `returned`; None for what is not reached directly."""
    if info is None or info.kind == "local" or info.via:
        return None
    address, _, port = info.address.rpartition(":")
    return (address.strip("[]"), int(port)) if address and port.isdigit() else None


async def returned(address: str, port: int) -> None:
    """Return when the port answers after it did not. Never returns for one that answers all along
    (a frozen host: its kernel accepts) or is only reached through a ProxyCommand."""
    away = False
    while True:
        try:
            async with asyncio.timeout(PERIOD):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError:
            away = True
        except OSError:
            away = True
            await asyncio.sleep(PERIOD)
        else:
            writer.close()
            if away:
                return
            await asyncio.Event().wait()
