"""`edxconsole ports`: which process listens on which port, and how surely that is known."""

from __future__ import annotations

from pathlib import Path

import click

from edxconsole.cluster.model import HostSnapshot, Listener
from edxconsole.commands.observing import exit_status, observe, silent_hosts
from edxconsole.commands.opening import Opened, open_cluster
from edxconsole.commands.options import reading, run
from edxconsole.commands.output import Printer, print_json
from edxconsole.commands.plain import listener_json


@click.command()
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--unix", is_flag=True, help="UNIX sockets too.")
@reading
def ports(selectors: tuple[str, ...], unix: bool, hosts: Path | None, timeout: float, as_json: bool) -> int:
    """Which process listens on which port.

    KNOWN BY says how surely: owner (read from /proc), unit (its control group), guess (by the usual
    port), none. Owners of other users' sockets need sudo on the host.
    """
    opened = open_cluster(hosts, selectors)
    snapshot = run(observe(opened, timeout))
    shown = [snapshot.hosts[name] for name in opened.hosts if name in snapshot.hosts]
    rows = [(h, listener) for h in shown for listener in _listeners(opened, h, unix)]
    code = exit_status(shown, wrong=False)
    if as_json:
        body = {
            "cluster": snapshot.name,
            "exit_status": code,
            "hosts": [{"name": h.name, "link": h.link.value, "reason": h.reason} for h in shown],
            "listeners": [listener_json(h.name, listener) for h, listener in rows],
        }
        print_json("ports", body)
        return code
    out = Printer()
    header = ["HOST", ">PORT", "PROTO", "ADDRESS", "COMPONENT", ">PID", "USER", "KNOWN BY", "PROCESS"]
    out.table(header, [_row(h, listener) for h, listener in rows])
    for sentence in silent_hosts(shown):
        out.line(sentence)
    return code


def _listeners(opened: Opened, host: HostSnapshot, unix: bool) -> list[Listener]:
    found = [
        x for x in host.listeners if (unix or x.proto != "unix") and opened.means(host.name, x.component)
    ]
    return sorted(found, key=lambda x: (x.proto == "unix", x.port, x.proto, x.address))


def _row(host: HostSnapshot, listener: Listener) -> list[str]:
    return [
        host.name if host.trusted else f"{host.name} ({host.link.value})",
        str(listener.port) if listener.proto != "unix" else "",
        listener.proto,
        listener.address,
        listener.component or "-",
        str(listener.pid) if listener.pid is not None else "?",
        listener.user or "?",
        listener.how,
        listener.process or "?",
    ]
