"""Beginnings and ends that a cancellation must not cut in half.

Learned: `asyncio.wait_for` before Python 3.12 swallows a cancellation that comes together with the
result (a task that was told to end then goes on), so `asyncio.timeout` is used everywhere; and
asyncio's subprocesses lose their pipes, and their children, when their start is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
END_WAIT = 2.0


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end; a cancellation that comes meanwhile is raised after it.

    `work` must be bounded in time by itself.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()
    raise cancelled


async def begin(starting: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]]) -> T:
    """Await something short; when cancelled meanwhile, let it come into being and undo it."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_undone(task, undo))
        raise


async def _undone(task: asyncio.Future[T], undo: Callable[[T], Awaitable[None]]) -> None:
    with contextlib.suppress(Exception):
        await undo(await task)


async def spawn(
    *argv: str, stdin: int, stdout: int, stderr: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    """A subprocess in a session of its own; end it with `end_process`. Raises OSError."""
    return await begin(
        asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        ),
        lambda process: end_process(process, signal.SIGKILL),
    )


async def end_process(process: asyncio.subprocess.Process, first: signal.Signals = signal.SIGTERM) -> None:
    """End its process group, reap it, close its pipes, which others may still hold. Idempotent."""
    await finish(_end(process, first))


async def _end(process: asyncio.subprocess.Process, first: signal.Signals) -> None:
    if process.returncode is None:
        for sign in (first, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_WAIT):
                    await process.wait()
                    break
    process._transport.close()  # type: ignore[attr-defined]  # asyncio has no other way
    await asyncio.sleep(0)
