"""`start`: a probe on this machine, ended with the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence

import pytest

from edxconsole.probe.launcher import launch
from tests.unit.probe.probing import ChildTransport, Start, Watch


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """start(python=..., env=..., prefix=...) -> Watch on a fresh probe; all are ended afterwards."""
    watches: list[Watch] = []
    transports: list[ChildTransport] = []

    async def begin(
        python: str | None = sys.executable,
        *,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
        become: str | None = None,
        read_only: bool = True,
    ) -> Watch:
        transport = ChildTransport(env, prefix)
        transports.append(transport)
        channel = await launch(transport, python=python, become=become, read_only=read_only)
        watch = Watch(channel)
        watches.append(watch)
        return watch

    yield begin
    for watch in watches:
        await watch.close()
    for transport in transports:
        await transport.close()
