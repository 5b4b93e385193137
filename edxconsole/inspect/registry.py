"""Which components can be inspected, by what, and how one inspection is run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from edxconsole.catalog.model import Catalog
from edxconsole.cluster.containers import contained
from edxconsole.cluster.model import HostSnapshot
from edxconsole.errors import UsageError
from edxconsole.inspect.celery import inspect_celery
from edxconsole.inspect.container import inspect_container
from edxconsole.inspect.edxapp import inspect_edxapp
from edxconsole.inspect.elasticsearch import inspect_elasticsearch
from edxconsole.inspect.gunicorn import inspect_gunicorn
from edxconsole.inspect.meilisearch import inspect_meilisearch
from edxconsole.inspect.memcached import inspect_memcached
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.mongodb import inspect_mongodb
from edxconsole.inspect.mysql import inspect_mysql
from edxconsole.inspect.nginx import inspect_nginx
from edxconsole.inspect.rabbitmq import inspect_rabbitmq
from edxconsole.inspect.redis import inspect_redis
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.supervisor import inspect_supervisor
from edxconsole.transport.base import Transport

Inspector = Callable[[Sight, Report], Awaitable[None]]


def each(*inspectors: Inspector) -> Inspector:
    """One inspector that is these, one after the other."""

    async def inspect_all(sight: Sight, report: Report) -> None:
        for inspector in inspectors:
            await inspector(sight, report)

    return inspect_all


INSPECTORS: Mapping[str, Inspector] = {
    "nginx": inspect_nginx,
    "lms": each(inspect_gunicorn, inspect_edxapp),
    "cms": each(inspect_gunicorn, inspect_edxapp),
    "edxapp_worker": each(inspect_celery, inspect_edxapp),
    "xqueue": inspect_gunicorn,
    "supervisor": inspect_supervisor,
    "memcached": inspect_memcached,
    "redis": inspect_redis,
    "rabbitmq": inspect_rabbitmq,
    "mysql": inspect_mysql,
    "mongodb": inspect_mongodb,
    "elasticsearch": inspect_elasticsearch,
    "meilisearch": inspect_meilisearch,
    "ecomworker": inspect_celery,
    "ida_worker": inspect_celery,
}
"""component id -> what opens it up"""

DEADLINE = 60.0
"""seconds for one inspection, above the deadlines of its single steps"""


def inspectable(host: HostSnapshot) -> list[str]:
    """What was seen on a host and can be inspected: INSPECTORS has it, or it runs in containers."""
    here = {i.component: contained(host, i) for i in host.instances}
    return [*(c for c in INSPECTORS if c in here), *(c for c in here if here[c] and c not in INSPECTORS)]


async def inspect_component(
    transport: Transport,
    host: HostSnapshot,
    catalog: Catalog,
    component: str,
    *,
    sudo: bool,
    deadline: float = DEADLINE,
) -> Inspection:
    """Look into one component on one host now. Changes nothing there.

    What can't be seen is in `missing`. Raises UsageError when there is no inspector for it, and
    ConnectionLost when the host is gone.
    """
    known, inspector = catalog.get(component), INSPECTORS.get(component)
    instance = next((i for i in host.instances if i.component == component), None)
    inside = instance is not None and contained(host, instance)
    if known is None or (inspector is None and not inside):
        raise UsageError(
            f"{component} has no inspector", remedy=f"there are those of {', '.join(sorted(INSPECTORS))}"
        )
    sight = Sight(transport, host, known, instance, sudo=sudo)
    report = Report()
    try:
        async with asyncio.timeout(deadline):
            await inspect_container(sight, report)
            if inspector is not None:
                await inspector(sight, report)
    except TimeoutError:
        report.missing(
            "the rest", f"{component} was not told within {deadline:g} s", "look at the host's load"
        )
    return report.done(host.name, component)
