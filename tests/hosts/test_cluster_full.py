"""The whole cluster, with a real RabbitMQ."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edxconsole.cluster.model import State
from tests.lab.cluster import LabCluster
from tests.lab.watching import instance, until, watching

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.slow]


async def test_rabbitmq_and_its_workers_are_seen(full_cluster: LabCluster, tmp_path: Path) -> None:
    """The broker with all its ports; workers really connected to it."""
    async with watching(full_cluster.inventory(), tmp_path) as engine:
        await until(
            engine,
            lambda s: (i := instance(s.hosts["data"], "rabbitmq")) and i.state is State.UP,
            within=40,
            what="rabbitmq up",
        )
        rabbit = instance(engine.snapshot.hosts["data"], "rabbitmq")
        assert rabbit is not None
        assert {5672, 15672} <= set(rabbit.ports)
    apps = {full_cluster.app1.address, full_cluster.app2.address}
    for _ in range(80):
        connected = await full_cluster.data.ash("ss -tnH state established '( sport = :5672 )'")
        if apps <= {address for address in apps if f"{address}]:" in connected or f"{address}:" in connected}:
            break
        await asyncio.sleep(0.5)
    else:
        raise AssertionError(f"workers never came to the broker: {connected}")


async def test_a_stopped_broker_is_down_and_workers_are_still_shown(
    full_cluster: LabCluster, tmp_path: Path
) -> None:
    """The workers run on, without a broker: the model may not call them stopped."""
    async with watching(full_cluster.inventory(), tmp_path) as engine:
        await until(
            engine,
            lambda s: (i := instance(s.hosts["data"], "rabbitmq")) and i.state is State.UP,
            within=40,
            what="rabbitmq up",
        )
        await full_cluster.data.ash("kill -9 $(pgrep -x beam.smp)")
        try:
            await until(
                engine,
                lambda s: (i := instance(s.hosts["data"], "rabbitmq")) and i.state is not State.UP,
                within=40,
                what="rabbitmq not up",
            )
            workers = instance(engine.snapshot.hosts["app1"], "edxapp_worker")
            assert workers is not None
            assert workers.pids
        finally:
            await asyncio.to_thread(full_cluster.start_broker)
            await asyncio.to_thread(full_cluster.wait_up, 60)
