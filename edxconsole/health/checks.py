"""Run one check, or all of a component, and say as evidence what came of it. Reads only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from edxconsole.catalog.model import Catalog, HealthSpec
from edxconsole.cluster.model import Age, Evidence, HostSnapshot, State
from edxconsole.cluster.text import clean_line
from edxconsole.errors import ConnectionLost, StreamRefused, TransportError
from edxconsole.health.answer import Answer, dead
from edxconsole.health.caches import check_memcached, check_redis
from edxconsole.health.databases import check_mongodb, check_mysql
from edxconsole.health.endpoints import endpoint_for
from edxconsole.health.http import check_http, check_nginx
from edxconsole.health.queues import check_amqp, check_tcp
from edxconsole.health.wire import Hangup, Wire
from edxconsole.transport.base import Endpoint, Transport

TIMEOUT = 6.0
"""seconds for the whole exchange; a heartbeat asks two databases"""

_CHECKS: dict[str, Callable[[Wire, HealthSpec], Awaitable[Answer]]] = {
    "http": check_http,
    "nginx": check_nginx,
    "tcp": check_tcp,
    "memcached": check_memcached,
    "redis": check_redis,
    "mysql": check_mysql,
    "mongodb": check_mongodb,
    "amqp": check_amqp,
}


async def check_component(
    transport: Transport, host: HostSnapshot, catalog: Catalog, component: str
) -> tuple[Evidence, ...]:
    """Every check of a component now, at the same time; () when it has none.

    Raises ConnectionLost.
    """
    known = catalog.get(component)
    specs = known.health if known is not None else ()
    return tuple(await asyncio.gather(*(run_check(transport, host, component, s) for s in specs)))


async def run_check(transport: Transport, host: HostSnapshot, component: str, spec: HealthSpec) -> Evidence:
    """One check now. Raises ConnectionLost when the host itself is gone; all else is evidence."""
    began = time.monotonic()
    endpoint, listening = endpoint_for(host, component, spec)
    first = b""
    if endpoint is None:
        answer = dead(f"{spec.name}: nothing of it listens")
    else:
        answer, first = await _exchange(transport, endpoint, spec, listening)
    took = (time.monotonic() - began) * 1000
    return Evidence(
        source="health",
        text=_sentence(spec, answer, took, first),
        state=answer.state,
        age=Age(at=time.time(), seen=time.monotonic()),
    )


async def _exchange(
    transport: Transport, endpoint: Endpoint, spec: HealthSpec, listening: bool
) -> tuple[Answer, bytes]:
    wire: Wire | None = None
    try:
        async with asyncio.timeout(TIMEOUT):
            stream = await transport.open_stream(endpoint, timeout=TIMEOUT)
            wire = Wire(stream)
            return await _CHECKS[spec.kind](wire, spec), wire.first
    except TimeoutError:
        answer = dead(f"{endpoint} gave no answer within {TIMEOUT:.0f} s")
    except Hangup:
        answer = dead(f"{endpoint} hung up without an answer")
    except ValueError as error:
        answer = Answer(State.DEGRADED, f"{endpoint} answers, but {clean_line(str(error), 100)}")
    except StreamRefused as error:
        answer = _refused(error, endpoint, listening)
    except ConnectionLost:
        if not transport.connected:
            raise
        answer = dead(f"{endpoint} broke off")
    except TransportError as error:
        answer = Answer(State.UNKNOWN, f"can't be asked: {error.cause}")
    finally:
        if wire is not None:
            wire.close()
    return answer, wire.first if wire is not None else b""


def _refused(error: StreamRefused, endpoint: Endpoint, listening: bool) -> Answer:
    """Where the probe sees a listener, a refusal is about our rights, not about the service."""
    if not listening:
        return dead(f"nothing listens on {endpoint}")
    return Answer(State.UNKNOWN, f"can't be asked: {error.cause}")


def _sentence(spec: HealthSpec, answer: Answer, took: float, first: bytes) -> str:
    words = f"{spec.name}: {answer.text}"
    if answer.state is State.UP:
        return f"{words} ({_about(took)})"
    if answer.state is State.DEGRADED and first:
        return f"{words}; it begins {clean_line(ascii(first[:48].decode('latin-1')), 80)}"
    return words


def _about(milliseconds: float) -> str:
    """Coarse on purpose: an answer that is as quick as before is not news."""
    for limit in (10, 50, 200, 1000):
        if milliseconds < limit:
            return f"under {limit} ms"
    return f"{milliseconds / 1000:.0f} s"
