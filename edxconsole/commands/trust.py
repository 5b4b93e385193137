"""`edxconsole trust HOST...`: show a host's key, and pin it when the operator says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from edxconsole.commands.observing import UNREACHABLE, WELL, prompter
from edxconsole.commands.opening import load_cluster
from edxconsole.commands.options import hosts_option, run
from edxconsole.commands.output import Printer
from edxconsole.errors import (
    AuthenticationFailed,
    EdxconsoleError,
    HostKeyChanged,
    HostKeyUnknown,
    UsageError,
)
from edxconsole.inventory.model import Host, Inventory
from edxconsole.transport.base import Prompter
from edxconsole.yamlwords import suggest

REFUSED = 4


class _Deciding:
    """Trusts what the operator named by fingerprint, else asks; answers no password prompt."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint
        self._asks: Prompter = prompter()
        self.pinned = False

    async def secret(self, host: str, prompt: str) -> str | None:
        return None

    async def trust(self, host: str, address: str, key_type: str, fingerprint: str) -> bool:
        if self._fingerprint is not None:
            self.pinned = fingerprint == self._fingerprint
        else:
            self.pinned = await self._asks.trust(host, address, key_type, fingerprint)
        return self.pinned


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="HOST...")
@click.option("--fingerprint", metavar="SHA256:...", help="Pin this key without asking, if it is the host's.")
@hosts_option
@click.pass_context
def trust(ctx: click.Context, names: tuple[str, ...], fingerprint: str | None, hosts: Path | None) -> int:
    """Show the key of each HOST and pin it when you say so.

    A key that changed is never pinned over the old one: the message says how to remove that.
    """
    if fingerprint is not None and len(names) != 1:
        raise UsageError("--fingerprint is for one host", remedy="name one host")
    inventory, _ = load_cluster(hosts or (ctx.obj or {}).get("hosts"))
    for name in names:
        if name not in inventory.hosts:
            raise UsageError(f"no host is called {name!r}{suggest(name, inventory.hosts)}")
    return run(_trust_all(inventory, names, fingerprint))


async def _trust_all(inventory: Inventory, names: tuple[str, ...], fingerprint: str | None) -> int:
    """The worst of what became of them."""
    return max([await _trust(inventory, inventory.hosts[name], fingerprint) for name in names])


async def _trust(inventory: Inventory, host: Host, fingerprint: str | None) -> int:
    from edxconsole.transport.factory import make_transport

    out, deciding = Printer(), _Deciding(fingerprint)
    if host.transport == "local":
        out.line(f"{host.name}: is this machine, it has no host key")
        return WELL
    transport = make_transport(host, inventory, deciding)
    try:
        async with asyncio.timeout(None if fingerprint is None else 30):
            await transport.connect()
    except AuthenticationFailed:
        pass  # the key was accepted, or login would not have been tried
    except (HostKeyUnknown, HostKeyChanged) as error:
        out.line(str(error))
        return REFUSED
    except (EdxconsoleError, TimeoutError) as error:
        if not deciding.pinned:
            out.line(str(error) or f"{host.name}: did not answer in 30 s.")
            return UNREACHABLE
    finally:
        await transport.close()
    out.line(f"{host.name}: its key is {'trusted from now on' if deciding.pinned else 'trusted already'}")
    return WELL
