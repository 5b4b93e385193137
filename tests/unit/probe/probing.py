"""What the probe's tests share: a transport that only starts local programs, and channels over it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from edxconsole.probe.channel import ProbeChannel
from edxconsole.probe.frames import AnyFrame
from edxconsole.transport.base import ConnectionInfo, Endpoint, Result, Stream

F = TypeVar("F")
PYENV = Path.home() / ".pyenv" / "versions"
PYTHONS = sorted(str(p) for p in PYENV.glob("*/bin/python")) if PYENV.is_dir() else []


class LocalProcess:
    """A child with pipes, as transport.base.Process."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        self.child = child
        self.stdin = child.stdin
        self.stdout = child.stdout
        self.stderr = child.stderr

    async def wait(self) -> int | None:
        return await self.child.wait()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)

    async def close(self) -> None:
        self.stdin.close()
        try:
            async with asyncio.timeout(2):
                await self.child.wait()
        except TimeoutError:
            self.kill()
            await self.child.wait()


class ChildTransport:
    """Starts programs on this machine, in `env`; nothing else. Keeps them to be ended with the test."""

    host_name = "here"
    connected = True
    info = ConnectionInfo(kind="local")

    def __init__(self, env: dict[str, str] | None = None, prefix: Sequence[str] = ()) -> None:
        self.env = env
        self.prefix = list(prefix)
        self.started: list[LocalProcess] = []

    async def connect(self) -> None:
        return

    async def run(self, argv: Sequence[str], **_: Any) -> Result:
        raise NotImplementedError

    async def process(self, argv: Sequence[str], *, become: str | None = None) -> LocalProcess:
        child = await asyncio.create_subprocess_exec(
            *self.prefix,
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.env,
            start_new_session=True,
        )
        process = LocalProcess(child)
        self.started.append(process)
        return process

    async def open_stream(self, endpoint: Endpoint, *, timeout: float = 5.0) -> Stream:
        raise NotImplementedError

    async def wait_lost(self) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        for process in self.started:
            process.kill()
            await process.child.wait()


class Watch:
    """Collects the frames of a channel in the background and waits for the one that matters."""

    def __init__(self, channel: ProbeChannel) -> None:
        self.channel = channel
        self.seen: list[AnyFrame] = []
        self.error: BaseException | None = None
        self._news = asyncio.Condition()
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        try:
            async for frame in self.channel.frames():
                async with self._news:
                    self.seen.append(frame)
                    self._news.notify_all()
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            self.error = error
        async with self._news:
            self._news.notify_all()

    async def until(
        self,
        kind: type[F],
        test: Callable[[F], bool] = lambda _: True,
        *,
        since: int = 0,
        timeout: float = 15,
    ) -> F:
        """The first frame of this kind from index `since` on that passes the test."""
        at = since
        async with asyncio.timeout(timeout), self._news:
            while True:
                while at < len(self.seen):
                    frame = self.seen[at]
                    at += 1
                    if isinstance(frame, kind) and test(frame):
                        return frame
                if self._task.done() or self.error:
                    raise AssertionError(f"the probe ended: {self.error}")
                await self._news.wait()

    def of(self, kind: type[F]) -> list[F]:
        return [f for f in self.seen if isinstance(f, kind)]

    async def close(self) -> None:
        await self.channel.close()
        await self._task


Start = Callable[..., Awaitable[Watch]]
