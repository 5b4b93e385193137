"""Look at a cluster once: connect to every host, wait until it is known, say what it means."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from edxconsole.cluster.model import ClusterSnapshot, HostSnapshot, State
from edxconsole.cluster.settling import unanswered
from edxconsole.commands.opening import Opened, open_engine
from edxconsole.transport.base import Prompter, SilentPrompter

WELL, WRONG, UNREACHABLE = 0, 1, 3


def prompter() -> Prompter:
    """Asks on the terminal where there is one; declines otherwise."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        from edxconsole.commands.prompting import TerminalPrompter

        return TerminalPrompter()
    return SilentPrompter()


async def observe(opened: Opened, timeout: float) -> ClusterSnapshot:
    """Each of these hosts live with its services and health seen once, or failed."""
    async with open_engine(opened) as engine:
        return await engine.wait_settled(timeout)


def exit_status(hosts: Sequence[HostSnapshot], wrong: bool) -> int:
    """3 when a host is not live, because then nothing is known of it; else 1 or 0."""
    if any(not host.trusted for host in hosts):
        return UNREACHABLE
    return WRONG if wrong else WELL


def is_wrong(state: State) -> bool:
    """Whether an operator should look. Unknown is not wrong by itself."""
    return state in (State.DOWN, State.DEGRADED, State.ABSENT)


def silent_hosts(hosts: Sequence[HostSnapshot]) -> list[str]:
    """One sentence for each host that is not live."""
    said = []
    for host in hosts:
        if not host.trusted:
            reason = unanswered(host) or host.reason
            said.append(reason if reason.startswith(host.name) else f"{host.name}: {reason}")
    return said
