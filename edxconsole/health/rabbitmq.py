"""RabbitMQ's queues by its management API: how many messages wait, and whether anybody takes them.

`rabbitmqctl` would tell as well, but each of its calls starts a virtual machine of Erlang's: a second of CPU.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.text import clean_line
from edxconsole.errors import PortRefused
from edxconsole.health.answer import Answer, good, odd, poor, unknown
from edxconsole.health.caches import about
from edxconsole.health.http import Page, fetch
from edxconsole.health.wire import Wire
from edxconsole.transport.base import TcpEndpoint, Transport

CONFIGS = ("/etc/rabbitmq/rabbitmq.conf", "/etc/rabbitmq/rabbitmq.config")
QUEUES = "/api/queues?columns=vhost,name,messages_ready,consumers"
TIMEOUT = 6.0
LIMIT = 256 * 1024
MAX_CONFIG = 64 * 1024
MAX_NAMED = 4
EVENTS = 1000
"""messages in a queue of events from which on its reader is gone for good"""
ASK_INSTEAD = "`edxconsole inspect rabbitmq` asks rabbitmqctl"
_SET = re.compile(r"""^\s*\{?\s*default_(user|pass)\s*(?:=\s*|,\s*<<")([^\s"#]{1,200})""", re.MULTILINE)


async def check_amqp_queues(transport: Transport, spec: HealthSpec) -> Answer:
    """With the user that its configuration names, where we may read that; used once, kept nowhere.

    Raises StreamRefused, CommandFailed, CommandTimedOut, ConnectionLost, ValueError, Hangup.
    """
    try:
        stream = await transport.open_stream(TcpEndpoint("127.0.0.1", spec.port or 15672), timeout=TIMEOUT)
    except PortRefused:
        return unknown(f"queues can't be seen: its management plugin is not on; {ASK_INSTEAD}")
    wire = Wire(stream, LIMIT)
    try:
        login = await _login(transport)
        if login is None:
            return unknown(
                f"queues can't be seen: {CONFIGS[0]} names no user, or may not be read; {ASK_INSTEAD}"
            )
        page = await fetch(wire, QUEUES, "localhost", {"Authorization": login}, limit=LIMIT)
    finally:
        wire.close()
    return judge(page)


async def _login(transport: Transport) -> str | None:
    """The header that logs in."""
    for path in CONFIGS:
        argv = ["head", "-c", str(MAX_CONFIG), "--", path]
        result = await transport.run(argv, timeout=TIMEOUT, max_output=MAX_CONFIG + 1)
        said = {found[1]: found[2] for found in _SET.finditer(result.text)} if result.ok else {}
        if "user" in said and "pass" in said:
            return "Basic " + base64.b64encode(f"{said['user']}:{said['pass']}".encode()).decode()
    return None


def judge(page: Page) -> Answer:
    """What the answer to GET QUEUES means."""
    if page.status in (401, 403):
        return unknown(f"queues can't be seen: the user of its configuration may not; {ASK_INSTEAD}")
    if page.cut:
        return unknown(f"queues can't be seen: there are too many of them; {ASK_INSTEAD}")
    try:
        rows = json.loads(page.body)
    except (ValueError, RecursionError):
        rows = None
    if page.status != 200 or not isinstance(rows, list):
        return odd(f"answers {page.status} to GET {QUEUES.partition('?')[0]}, but not with queues")
    waiting = [row for row in rows if isinstance(row, Mapping) and _count(row, "messages_ready")]
    stuck = [row for row in waiting if _count(row, "consumers") == 0 and _matters(row)]
    if stuck:
        return poor(
            f"messages wait and nobody takes them: {_named(stuck)}; look at the workers of these queues"
        )
    if waiting:
        return good(f"messages wait: {_named(waiting)}; somebody takes them")
    return good("nothing waits in any of its queues")


def _matters(row: Mapping[str, object]) -> bool:
    """Queues of Celery's events and orders come and go with what listens to them, until they pile up."""
    name = str(row.get("name", ""))
    passing = name.startswith("celeryev") or name.endswith(".celery.pidbox")
    return not passing or (_count(row, "messages_ready") or 0) >= EVENTS


def _named(rows: list[Mapping[str, object]]) -> str:
    """The fullest first."""
    rows = sorted(rows, key=lambda row: -(_count(row, "messages_ready") or 0))
    told = [
        f"{about(_count(row, 'messages_ready') or 0)} in {clean_line(str(row.get('name', '')), 60)}"
        for row in rows[:MAX_NAMED]
    ]
    more = [f"and {len(rows) - MAX_NAMED} more"] if len(rows) > MAX_NAMED else []
    return ", ".join([*told, *more])


def _count(row: Mapping[str, object], key: str) -> int | None:
    value = row.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None
