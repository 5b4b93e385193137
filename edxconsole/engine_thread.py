"""A loop and a thread for an engine, so that SSH never stalls a screen (ssh.md section 1.1)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from edxconsole.engine import Engine

T = TypeVar("T")

logger = logging.getLogger("edxconsole.engine")


class EngineThread:
    """An Engine in a loop and thread of its own.

    Args:
        make: makes the engine; called in the thread.
    """

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._made = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread and import asyncssh there; returns at once."""
        self._thread.start()

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError until the thread has made it, or with what kept it from doing so."""
        if self._engine is None:
            raise RuntimeError("the engine is not there yet") from self._failure
        return self._engine

    def wait_made(self, timeout: float) -> Engine:
        """Wait until the engine is made. Raises what its making raised, or TimeoutError."""
        if not self._made.wait(timeout):
            raise TimeoutError("the engine did not start in time")
        if self._failure is not None:
            raise self._failure
        return self.engine

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine in the engine's loop. Raises RuntimeError when there is none (any more)."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the engine is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self, timeout: float = 5.0) -> None:
        """Close every connection and join the thread. Idempotent."""
        if not self._thread.is_alive():
            return
        self._cancel()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("the engine did not end within %.0f s", timeout)
            self._cancel()
            self._thread.join(timeout)

    def _cancel(self) -> None:
        # Made first: a stop that comes before the loop runs must not be lost.
        self._made.wait(10.0)
        loop, main = self._loop, self._main
        if loop is not None and main is not None and not loop.is_closed():
            loop.call_soon_threadsafe(main.cancel)

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except asyncio.CancelledError:
            logger.debug("the engine was stopped")
        except BaseException as error:
            self._failure = error
            logger.exception("the engine ended")
        finally:
            self._made.set()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        engine = self._make()
        async with engine:
            self._engine = engine
            self._made.set()
            await asyncio.Event().wait()
