"""RabbitMQ: by `rabbitmqctl` where sudo allows it, else by its management API.

rabbitmqctl starts an Erlang of its own for each call, about a second of a core: never on a schedule.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from edxconsole.errors import (
    CommandFailed,
    ConnectionLost,
    NotUnderstood,
    PermissionMissing,
    ServiceError,
    ServiceFault,
    TransportError,
)
from edxconsole.inspect.broker import Broker, Queue, fill
from edxconsole.inspect.erlang_terms import as_mapping, read_term
from edxconsole.inspect.rabbitmq_api import ask_api
from edxconsole.inspect.reads import (
    CONNECTION_COLUMNS,
    QUEUE_COLUMNS,
    RABBIT_CONNECTIONS,
    RABBIT_OLD_STATUS,
    RABBIT_STATUS,
    RABBIT_VHOSTS,
    RABBITMQCTL,
    rabbit_queues,
)
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.numerals import natural

CALL_TIMEOUT = 20.0
MAX_VHOSTS = 8


async def inspect_rabbitmq(sight: Sight, report: Report) -> None:
    """Both ways tell the same; which one it was stands at each fact as its source."""
    try:
        broker = await _by_rabbitmqctl(sight, report)
    except (PermissionMissing, CommandFailed) as refused:
        try:
            broker = await ask_api(sight)
        except ConnectionLost:
            raise
        except (ServiceError, TransportError) as error:
            report.lacks("rabbitmqctl", refused)
            report.lacks("management API", error)
            return
    except ConnectionLost:
        raise
    except (ServiceError, TransportError) as error:
        report.lacks("RabbitMQ", error)
        return
    fill(report, broker)


async def _by_rabbitmqctl(sight: Sight, report: Report) -> Broker:
    program = await sight.first_of(RABBITMQCTL)
    broker = await _status(sight, program)
    names = await report.attempt("vhosts", _rows(sight, [program, *RABBIT_VHOSTS], ("name",)))
    vhosts = [row[0] for row in names or [["/"]] if not row[0].startswith("-")]
    if len(vhosts) > MAX_VHOSTS:
        report.missing("queues", f"there are {len(vhosts)} vhosts; the first {MAX_VHOSTS} were asked")
    broker.queues = []
    for vhost in vhosts[:MAX_VHOSTS]:
        argv = [program, *rabbit_queues(vhost)]
        rows = await report.attempt(f"queues of {vhost}", _rows(sight, argv, QUEUE_COLUMNS))
        broker.queues += [_queue(vhost, row) for row in rows or ()]
    argv = [program, *RABBIT_CONNECTIONS]
    found = await report.attempt("connections", _rows(sight, argv, CONNECTION_COLUMNS))
    if found is not None:
        broker.connections = Counter((row[0], row[1], row[2]) for row in found)
    return broker


async def _status(sight: Sight, program: str) -> Broker:
    """`status` as JSON (3.8 and later), else as Erlang terms."""
    result = await sight.run([program, *RABBIT_STATUS], user="root", timeout=CALL_TIMEOUT)
    if result.ok and result.text.lstrip().startswith("{"):
        return of_status(_json(result.text), "rabbitmqctl status")
    result = await sight.run([program, *RABBIT_OLD_STATUS], user="root", timeout=CALL_TIMEOUT)
    if not result.ok:
        raise ServiceFault(f"rabbitmqctl status fails: {_why(result.stderr + result.stdout)}")
    return of_terms(result.text, "rabbitmqctl status")


def _json(text: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("rabbitmqctl printed what is no JSON") from error
    return found if isinstance(found, dict) else {}


def _why(output: bytes) -> str:
    lines = [x.strip() for x in output.decode("utf-8", "replace").splitlines() if x.strip()]
    told = [x for x in lines if x.lower().startswith(("error", "* "))]
    return (told or lines or ["no message"])[0]


def of_status(body: Mapping[str, object], source: str) -> Broker:
    """A node from the JSON of `status` (3.8 and later)."""
    memory, files = _mapping(body, "memory"), _mapping(body, "file_descriptors")
    strategy = str(memory.get("strategy") or "rss")
    totals = _mapping(memory, "total")
    return Broker(
        source,
        version=str(body.get("rabbitmq_version") or ""),
        erlang=str(body.get("erlang_version") or "").partition(" [")[0],
        uptime=_int(body.get("uptime")),
        memory=_int(totals.get(strategy)) or _int(memory.get("total")),
        memory_limit=_int(body.get("vm_memory_limit")) or _int(body.get("vm_memory_high_watermark_limit")),
        disk_free=_int(body.get("disk_free")),
        disk_limit=_int(body.get("disk_free_limit")),
        files=_int(files.get("total_used")),
        files_limit=_int(files.get("total_limit")),
        alarms=_alarms(body.get("alarms")),
    )


def of_terms(text: str, source: str) -> Broker:
    """A node from the Erlang terms of `status`, before 3.8. Raises NotUnderstood."""
    body = as_mapping(read_term(text))
    memory = as_mapping(body.get("memory"))
    total = memory.get("total")
    apps = body.get("running_applications")
    rabbit = (
        [a for a in apps if isinstance(a, tuple) and a[:1] == ("rabbit",)] if isinstance(apps, list) else []
    )
    flat = {
        **body,
        "memory": {"total": as_mapping(total) if isinstance(total, list) else {"rss": total}},
        "file_descriptors": as_mapping(body.get("file_descriptors")),
        "rabbitmq_version": rabbit[0][-1] if rabbit else "",
    }
    return of_status(flat, source)


def _alarms(found: object) -> tuple[str, ...]:
    """`["memory"]`, `[{"resource": "disk", ...}]` or terms: the words that tell which resource."""
    words = str(found)
    known = ("memory", "disk", "file_descriptor_limit")
    return tuple(word for word in known if word in words) or (("unknown",) if found else ())


def _mapping(body: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = body.get(key)
    return found if isinstance(found, dict) else {}


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


async def _rows(sight: Sight, argv: Sequence[str], columns: Sequence[str]) -> list[list[str]]:
    """The tab-separated rows of a `list_` command; newer ones print a header even with -q."""
    result = await sight.run(argv, user="root", timeout=CALL_TIMEOUT)
    if not result.ok:
        raise ServiceFault(f"rabbitmqctl {argv[2]} fails: {_why(result.stderr + result.stdout)}")
    return read_rows(result.text, columns)


def read_rows(text: str, columns: Sequence[str]) -> list[list[str]]:
    """Rows of exactly these columns; anything else that was printed is left out."""
    rows = [line.split("\t") for line in text.splitlines()]
    return [row for row in rows if len(row) == len(columns) and row != list(columns) and any(row)]


def _queue(vhost: str, row: Sequence[str]) -> Queue:
    ready, unacked, consumers, memory = (natural(text) for text in row[1:5])
    return Queue(vhost, row[0], ready, unacked, consumers, memory, row[5])
