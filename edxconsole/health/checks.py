"""Run one check, or all of a component, and say as evidence what came of it. Reads only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from edxconsole.catalog.model import Catalog, HealthSpec
from edxconsole.cluster.checks import Check, checks_on
from edxconsole.cluster.model import Age, Evidence, HostSnapshot, State
from edxconsole.cluster.text import clean_line
from edxconsole.errors import ConnectionLost, PortRefused, StreamRefused, TransportError
from edxconsole.health.answer import Answer, dead, odd, unknown
from edxconsole.health.asked import Asked
from edxconsole.health.caches import check_memcached, check_redis, check_redis_queues
from edxconsole.health.databases import check_mysql
from edxconsole.health.endpoints import endpoint_of
from edxconsole.health.files import check_absent
from edxconsole.health.http import check_elasticsearch, check_http, check_nginx
from edxconsole.health.mongo import check_mongodb, check_mongodb_status
from edxconsole.health.mysql_login import check_mysql_login
from edxconsole.health.queues import check_amqp, check_tcp
from edxconsole.health.rabbitmq import check_amqp_queues
from edxconsole.health.sites import ask_sites, for_site
from edxconsole.health.tls import check_tls
from edxconsole.health.wire import Hangup, Wire
from edxconsole.transport.base import Endpoint, Transport

TIMEOUT = 6.0
"""seconds for the whole exchange; a heartbeat asks two databases"""
CONNECT_TIMEOUT = 4.0
"""seconds of it until the connection is open"""
PATIENCE = 20.0
"""seconds for a check on demand: an extended heartbeat runs a task, and waits 5 s for it"""

_CHECKS: dict[str, Callable[[Wire, HealthSpec], Awaitable[Answer]]] = {
    "http": check_http,
    "nginx": check_nginx,
    "elasticsearch": check_elasticsearch,
    "tcp": check_tcp,
    "memcached": check_memcached,
    "redis": check_redis,
    "redis-queues": check_redis_queues,
    "mysql": check_mysql,
    "mongodb": check_mongodb,
    "mongodb-status": check_mongodb_status,
    "amqp": check_amqp,
    "tls": check_tls,
}
_COMMANDS: dict[str, Callable[[Transport, HealthSpec], Awaitable[Answer]]] = {
    "absent": check_absent,
    "amqp-queues": check_amqp_queues,
    "mysql-login": check_mysql_login,
}
"""kinds for which one stream is not enough"""


async def check_component(
    transport: Transport,
    host: HostSnapshot,
    catalog: Catalog,
    component: str,
    *,
    container: str = "",
    sites: Sequence[str] = (),
) -> tuple[Evidence, ...]:
    """Every check of a component that an act must bring back, now; () when it has none.

    Args:
        container: only those in the container of this unit name.
        sites: as ask_check().

    Raises ConnectionLost.
    """

    asked = [c for c in checks_there(host, catalog, component) if c.spec.gate and not c.spec.on_demand]
    if container:
        asked = [c for c in asked if c.unit is not None and c.unit.name == container]
    answers = await asyncio.gather(*(run_check(transport, host, component, c, sites) for c in asked))
    return tuple(answers)


def checks_there(host: HostSnapshot, catalog: Catalog, component: str) -> tuple[Check, ...]:
    """Every check that a component has on a host, also those that cost; () when it has none."""
    known = catalog.get(component)
    if known is None:
        return ()
    instance = next((i for i in host.instances if i.component == component), None)
    return checks_on(host, known, instance, whatever=True)


async def run_check(
    transport: Transport, host: HostSnapshot, component: str, check: Check, sites: Sequence[str] = ()
) -> Evidence:
    """One check now, as evidence. Raises ConnectionLost when the host itself is gone."""
    return (await ask_check(transport, host, component, check, sites)).evidence


async def ask_check(
    transport: Transport, host: HostSnapshot, component: str, check: Check, sites: Sequence[str] = ()
) -> Asked:
    """One check now. Raises ConnectionLost when the host itself is gone; all else is evidence.

    Args:
        sites: the names for which a certificate is asked, unless the check says its own.
    """
    began, spec = time.monotonic(), check.spec
    command = _COMMANDS.get(spec.kind)
    endpoint, listening = endpoint_of(host, component, check)
    first = b""
    if command is not None:
        answer = await _run(transport, command, spec)
    elif endpoint is not None and spec.kind == "tls" and sites and not spec.host_header:
        answer, first = await ask_sites(
            sites, lambda site: _exchange(transport, endpoint, for_site(check, site), listening)
        )
    elif endpoint is not None:
        answer, first = await _exchange(transport, endpoint, check, listening)
    elif check.unit is not None:
        answer = unknown("can't be asked: Docker names no address of it")
    else:
        answer = dead("nothing of it listens")
    took = time.monotonic() - began
    evidence = Evidence(
        source="health",
        text=f"{check.name}: {_said(check, answer, first, f' ({_about(took * 1000)})')}",
        state=answer.state,
        age=Age(at=time.time(), seen=time.monotonic()),
        every=None if spec.on_demand else spec.every,
    )
    return Asked(check, evidence, _said(check, answer, first), took)


async def _run(
    transport: Transport, command: Callable[[Transport, HealthSpec], Awaitable[Answer]], spec: HealthSpec
) -> Answer:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await command(transport, spec)
    except TimeoutError:
        return unknown(f"no answer within {TIMEOUT:.0f} s")
    except Hangup:
        return unknown("hung up without an answer")
    except ValueError as error:
        return odd(f"answers, but {clean_line(str(error), 100)}")
    except ConnectionLost as error:
        if not transport.connected:
            raise
        return unknown(f"broke off: {error.cause}")
    except TransportError as error:
        return unknown(f"can't be looked at: {error.cause}")


async def _exchange(
    transport: Transport, endpoint: Endpoint, check: Check, listening: bool
) -> tuple[Answer, bytes]:
    wire: Wire | None = None
    patience = PATIENCE if check.spec.on_demand else TIMEOUT
    try:
        async with asyncio.timeout(patience):
            wire = Wire(await transport.open_stream(endpoint, timeout=min(CONNECT_TIMEOUT, patience)))
            return await _CHECKS[check.spec.kind](wire, check.spec), wire.first
    except TimeoutError:
        answer = dead(f"{endpoint} gave no answer within {patience:.0f} s")
    except Hangup:
        endless = wire is not None and wire.full
        said = f"{endpoint} answers without an end" if endless else ""
        answer = odd(said) if endless else dead(f"{endpoint} hung up without an answer")
    except ValueError as error:
        answer = odd(f"{endpoint} answers, but {clean_line(str(error), 100)}")
    except StreamRefused as error:
        answer = _refused(error, endpoint, check, listening)
    except ConnectionLost:
        if not transport.connected:
            raise
        answer = dead(f"{endpoint} broke off")
    except TransportError as error:
        answer = unknown(f"can't be asked: {error.cause}")
    finally:
        if wire is not None:
            wire.close()
    return answer, wire.first if wire is not None else b""


def _refused(error: StreamRefused, endpoint: Endpoint, check: Check, listening: bool) -> Answer:
    """Where the probe sees a listener, a refusal is about our rights, not about the service.

    Inside of a container it sees none: there a refusal is the service's, anything else may be about the way.
    Tutor publishes the port of HTTPS only where its Caddy shall serve it (ENABLE_HTTPS).
    """
    if check.unit is not None:
        if isinstance(error, PortRefused):
            if check.spec.kind == "tls" and not listening:
                return unknown(
                    f"nothing listens on {endpoint}, inside its container: no HTTPS is served there"
                )
            return dead(f"nothing listens on {endpoint}, inside its container")
        return unknown(f"can't be asked from its host: {error.cause}")
    if not listening:
        return dead(f"nothing listens on {endpoint}")
    return unknown(f"can't be asked: {error.cause}")


def _said(check: Check, answer: Answer, first: bytes, took: str = "") -> str:
    """The answer with what it proves, or with its first bytes. `took` is said of what passed."""
    if answer.state is State.UP:
        proves = f"; {check.spec.proves}" if check.spec.proves else ""
        return f"{answer.text}{took}{proves}"
    if not answer.clear and first:
        return f"{answer.text}; it begins {clean_line(ascii(first[:48].decode('latin-1')), 80)}"
    return answer.text


def _about(milliseconds: float) -> str:
    """Coarse on purpose: an answer that is as quick as before is not news."""
    for limit in (10, 50, 200, 1000):
        if milliseconds < limit:
            return f"under {limit} ms"
    return f"{milliseconds / 1000:.0f} s"
