"""A host with a real dockerd whose login is in the group docker, and what tests of it share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from edxconsole.cluster.model import ClusterSnapshot
from edxconsole.cluster.units import Identity, Unit, UnitHealth
from edxconsole.engine import Engine
from edxconsole.plans.model import Plan, PlanEvent, PlanState
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab
from tests.lab.watching import unit, watching

HOST = "tutor"
SERVE = """sh -c 'trap "exit 0" TERM; httpd -p 8000; while :; do sleep 0.2; done'"""


@contextmanager
def tutor_host(lab: Lab) -> Iterator[Dockerd]:
    """The host `tutor` with its dockerd, ended with all its containers at the end."""
    host = lab.host(HOST)
    host.sh("usermod -aG docker ops")
    docker = Dockerd(host)
    try:
        docker.prepare()
        yield docker
    finally:
        docker.close()


@asynccontextmanager
async def watched(docker: Dockerd, lab: Lab, directory: Path) -> AsyncIterator[Engine]:
    """An engine on this host only."""
    inventory = await asyncio.to_thread(lab.inventory, [docker.host])
    async with watching(inventory, directory) as engine:
        yield engine


def found(
    name: str, health: UnitHealth, but: Identity | None = None
) -> Callable[[ClusterSnapshot], Unit | None]:
    """Finds a unit of the one host in a state (and not in the run `but`)."""

    def seen(snapshot: ClusterSnapshot) -> Unit | None:
        one = unit(snapshot.hosts[HOST], name)
        return one if one is not None and one.health is health and one.identity != but else None

    return seen


async def run(engine: Engine, plan: Plan) -> list[PlanEvent]:
    """Run a plan to its good end."""
    engine.arm(600)
    events: list[PlanEvent] = []
    state = await engine.run_plan(plan, confirmation=plan.digest, on_event=events.append)
    assert state is PlanState.DONE
    return events
