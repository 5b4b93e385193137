"""Everything behind a screen or a command, headless: the one object `app` and `commands` hold.

The engine has an asyncio loop. Commands run it in their own loop (`async with Engine(...)`);
the console runs it in a thread of its own (`EngineThread`), reads `engine.snapshot` from any
thread and hands coroutines over with `EngineThread.submit`.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.inventory.model import Inventory
from edxconsole.logs.model import LogFeed, LogSource
from edxconsole.plans.model import Plan, PlanEvent, PlanState
from edxconsole.services.base import Capabilities, ServiceManager, Verb
from edxconsole.transport.base import Prompter, Transport

T = TypeVar("T")


class Engine:
    """A cluster being watched, its services, logs and plans.

    Args:
        inventory: which hosts.
        catalog: what is looked for on them.
        prompter: how secrets and unknown host keys are asked for.
        hosts: only these inventory names (default all).
        journal: where acts are recorded (default under the XDG state directory).
    """

    inventory: Inventory
    catalog: Catalog

    def __init__(
        self,
        inventory: Inventory,
        catalog: Catalog,
        *,
        prompter: Prompter | None = None,
        hosts: Sequence[str] | None = None,
        journal: Path | None = None,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Engine:
        """Start connecting to every host; returns at once."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    @property
    def snapshot(self) -> ClusterSnapshot:
        """The newest truth. Any thread; never blocks."""
        raise NotImplementedError

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` (engine thread, at most 20 a second) after changes; returns unsubscribe."""
        raise NotImplementedError

    async def wait_settled(self, timeout: float) -> ClusterSnapshot:
        """Until each host is live with services and health seen once, or has failed; then the truth."""
        raise NotImplementedError

    def reconnect(self, host: str) -> None:
        """Try a host again now, also one that was REFUSED. Engine thread."""
        raise NotImplementedError

    def transport(self, host: str) -> Transport:
        """The live connection of a host. Raises ConnectionLost when there is none."""
        raise NotImplementedError

    def manager(self, host: str, manager: str) -> ServiceManager:
        """A service manager by Unit.manager id. Raises ServiceUnavailable."""
        raise NotImplementedError

    async def capabilities(self, host: str) -> dict[str, Capabilities]:
        """Manager id -> what can be done there with this login."""
        raise NotImplementedError

    def log_sources(self, hosts: Iterable[str], components: Iterable[str] | None = None) -> list[LogSource]:
        """Catalog files, supervisor stdout/stderr files of what runs there. No personal data."""
        raise NotImplementedError

    async def follow(
        self, sources: Sequence[LogSource], feed: LogFeed, *, last_lines: int = 100
    ) -> Callable[[], None]:
        """Feed the last lines and then what is appended, over reconnects; returns stop()."""
        raise NotImplementedError

    # Changing hosts: everything goes through edxconsole.plans.

    def arm(self, seconds: float) -> None:
        """Allow acts for so long. Raises nothing; visible in `armed_until`."""
        raise NotImplementedError

    def disarm(self) -> None:
        raise NotImplementedError

    @property
    def armed_until(self) -> float | None:
        """time.monotonic() when arming ends; None when read-only."""
        raise NotImplementedError

    async def draft(self, verb: Verb, selector: str, *, reason: str = "") -> Plan:
        """The plan for a verb on what a selector names, identities read now.

        Raises UsageError when it names nothing, ReadOnly never (drafting changes nothing).
        """
        raise NotImplementedError

    async def run_plan(
        self, plan: Plan, *, confirmation: str, on_event: Callable[[PlanEvent], None]
    ) -> PlanState:
        """Run a confirmed plan to its end. `confirmation` must be plan.digest.

        Raises ReadOnly, NotConfirmed, IdentityDrift, PreflightFailed, LockHeld, ActFailed,
        GateFailed, JournalError; each is also an event and journaled.
        """
        raise NotImplementedError


class EngineThread:
    """An Engine in a loop and thread of its own, so that SSH never stalls a screen."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread and import asyncssh there; returns at once."""
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError until the thread has made it."""
        raise NotImplementedError

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the engine's loop."""
        raise NotImplementedError

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection and join the thread."""
        raise NotImplementedError
