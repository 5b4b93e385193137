"""RabbitMQ's management API, with the user that its configuration names. Only GET."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from edxconsole.errors import ConnectionLost, NotUnderstood, PermissionMissing, ServiceError, TransportError
from edxconsole.health.endpoints import port_of
from edxconsole.inspect.broker import Broker, Queue
from edxconsole.inspect.sight import Sight
from edxconsole.services.http1 import HttpConnection
from edxconsole.services.supervisor_config import Credentials

TIMEOUT = 8.0
PORT = 15672
CONFIGS = ("/etc/rabbitmq/rabbitmq.conf", "/etc/rabbitmq/rabbitmq.config")
REMEDY = "allow `sudo rabbitmqctl`, see `edxconsole sudoers`"
_SET = re.compile(r"""^\s*\{?\s*default_(user|pass)\s*(?:=\s*|,\s*<<")([^\s"#]{1,200})""", re.MULTILINE)
QUEUES = "/api/queues?columns=vhost,name,messages_ready,messages_unacknowledged,consumers,memory,state"
CONNECTIONS = "/api/connections?columns=user,peer_host,state"


async def ask_api(sight: Sight) -> Broker:
    """Raises ServiceUnavailable, PermissionMissing, NotUnderstood, StreamRefused."""
    login = await _login(sight)
    endpoint, _ = port_of(sight.host, PORT)
    connection = HttpConnection(await sight.transport.open_stream(endpoint, timeout=TIMEOUT))
    try:
        nodes = _list(await _get(connection, "/api/nodes", login))
        overview = await _get(connection, "/api/overview", login)
        name = overview.get("node") if isinstance(overview, dict) else None
        own = next((n for n in nodes if n.get("name") == name), nodes[0] if nodes else {})
        broker = of_node(own, overview if isinstance(overview, dict) else {})
        broker.queues = [_queue(q) for q in _list(await _get(connection, QUEUES, login))]
        rows = _list(await _get(connection, CONNECTIONS, login))
        broker.connections = Counter(
            (str(c.get("user", "")), str(c.get("peer_host", "")), str(c.get("state", ""))) for c in rows
        )
        return broker
    finally:
        connection.close()


async def _login(sight: Sight) -> Credentials:
    """The first user as the configuration sets it, where the login user may read that."""
    last: ServiceError | TransportError | None = None
    for path in CONFIGS:
        try:
            text = await sight.read(path, user="rabbitmq")
        except ConnectionLost:
            raise
        except (ServiceError, TransportError) as error:
            last = error
            continue
        said = {found[1]: found[2] for found in _SET.finditer(text)}
        if "user" in said and "pass" in said:
            return Credentials(said["user"], said["pass"])
    cause = f"no user for it can be read ({last.cause})" if last else "its configuration names no user for it"
    raise PermissionMissing(cause, remedy=REMEDY)


async def _get(connection: HttpConnection, path: str, login: Credentials) -> object:
    headers = {"Authorization": login.header}
    answer = await connection.request("GET", path, headers=headers, timeout=TIMEOUT)
    if answer.status in (401, 403):
        raise PermissionMissing("it does not accept the user of its configuration", remedy=REMEDY)
    if answer.status != 200:
        raise NotUnderstood(f"it answers {answer.status} to GET {path.partition('?')[0]}")
    try:
        found: object = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood(f"its answer to GET {path.partition('?')[0]} is no JSON") from error
    return found


def of_node(node: Mapping[str, object], overview: Mapping[str, object]) -> Broker:
    """A node from /api/nodes."""
    alarms = [word for word, key in (("memory", "mem_alarm"), ("disk", "disk_free_alarm")) if node.get(key)]
    uptime = _int(node.get("uptime"))
    return Broker(
        "management API",
        version=str(overview.get("rabbitmq_version") or ""),
        erlang=str(overview.get("erlang_version") or ""),
        uptime=uptime // 1000 if uptime is not None else None,
        memory=_int(node.get("mem_used")),
        memory_limit=_int(node.get("mem_limit")),
        disk_free=_int(node.get("disk_free")),
        disk_limit=_int(node.get("disk_free_limit")),
        files=_int(node.get("fd_used")),
        files_limit=_int(node.get("fd_total")),
        alarms=tuple(alarms),
    )


def _queue(row: Mapping[str, object]) -> Queue:
    return Queue(
        vhost=str(row.get("vhost", "")),
        name=str(row.get("name", "")),
        ready=_int(row.get("messages_ready")),
        unacked=_int(row.get("messages_unacknowledged")),
        consumers=_int(row.get("consumers")),
        memory=_int(row.get("memory")),
        state=str(row.get("state", "")),
    )


def _list(found: object) -> list[dict[str, object]]:
    rows: Iterable[object] = found if isinstance(found, list) else ()
    return [row for row in rows if isinstance(row, dict)]


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
