"""MySQL and MariaDB: databases, threads, connection headroom, slow queries, replication.

By the `mysql` client of the host, which knows how to log in there: as the login user, else as root
with the maintenance account that Debian's packages keep. No query text is ever read: it holds what
people write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edxconsole.errors import (
    CommandFailed,
    NotUnderstood,
    PermissionMissing,
    ServiceFault,
    ServiceUnavailable,
)
from edxconsole.inspect.model import Value
from edxconsole.inspect.mysql_output import Row, read_results, read_vertical
from edxconsole.inspect.reads import MAINTENANCE, MYSQL, MYSQL_ACCOUNT, REPLICATION, STATEMENTS, mysql_asks
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import READ_TIMEOUT, Sight
from edxconsole.numerals import natural

REMEDY = "allow sudo what `edxconsole sudoers` prints for MySQL, or give the login user a ~/.my.cnf"
CALL_TIMEOUT = 15.0
NEARLY_FULL = 0.85

Login = tuple[str, tuple[str, ...]]
"""the client's path, and the options before all others"""
SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")


async def inspect_mysql(sight: Sight, report: Report) -> None:
    """Two or three calls of the client, each with its own deadline."""
    client = await report.attempt("MySQL", _client(sight))
    if client is None:
        return
    login, user, output = client
    source = "mysql" if user is None else f"mysql as {user}"
    results = await report.attempt("MySQL", _read(output))
    if results is None:
        return
    status = _pairs(results.get("status", []))
    settings = _pairs(results.get("settings", []))
    _server(report, status, settings, source)
    _connections(report, status, settings, source)
    _slow(report, status, settings, source)
    _databases(report, results.get("databases", []), source)
    _threads(report, results.get("threads", []), source)
    rows = await report.attempt("replication", _replication(sight, login, user))
    if rows is not None:
        _replicas(report, rows, source)


async def _read(output: str) -> dict[str, list[Row]]:
    return read_results(output)


async def _client(sight: Sight) -> tuple[Login, str | None, str]:
    """The program and options that get in, as whom, and what it answered to STATEMENTS."""
    program = await sight.first_of(MYSQL)
    there = await sight.run(["test", "-e", MAINTENANCE], timeout=READ_TIMEOUT)
    account = (MYSQL_ACCOUNT,) if there.ok else ()
    ways: tuple[tuple[Login, str | None], ...] = (((program, ()), None), ((program, account), "root"))
    denied = ""
    for login, user in ways:
        try:
            return login, user, await _ask(sight, login, STATEMENTS, user)
        except (PermissionMissing, CommandFailed) as error:
            denied = denied or error.cause
    raise PermissionMissing(denied, remedy=REMEDY)


async def _ask(sight: Sight, login: Login, statement: str, user: str | None) -> str:
    """What the client printed. Raises PermissionMissing when the server lets nobody in that way."""
    program, options = login
    argv = [program, *mysql_asks(options, statement)]
    result = await sight.run(argv, user=user, timeout=CALL_TIMEOUT)
    if result.ok:
        return result.text
    said = result.stderr.decode("utf-8", "replace").strip()
    line = next((x for x in said.splitlines() if x.startswith("ERROR")), said[:200])
    if any(code in line for code in ("ERROR 1045", "ERROR 1698", "ERROR 1044", "ERROR 1227", "ERROR 1142")):
        raise PermissionMissing(f"MySQL does not let {user or sight.login} in: {line}")
    if any(code in line for code in ("ERROR 2002", "ERROR 2003", "ERROR 2013", "ERROR 1040")):
        raise ServiceUnavailable(f"MySQL can't be reached: {line}")
    raise ServiceFault(f"mysql fails: {line}")


async def _replication(sight: Sight, login: Login, user: str | None) -> list[Row]:
    fault: ServiceFault | None = None
    for statement in REPLICATION:
        try:
            return read_vertical(await _ask(sight, login, statement, user))
        except ServiceFault as error:
            fault = error
    raise fault or NotUnderstood("MySQL does not tell")


def _pairs(rows: Sequence[Row]) -> dict[str, str]:
    return {str(r.get("Variable_name")).lower(): r.get("Value") or "" for r in rows}


def _number(text: str | None) -> int | None:
    return None if text is None else natural(text)


def _server(report: Report, status: Mapping[str, str], settings: Mapping[str, str], source: str) -> None:
    pool = _number(settings.get("innodb_buffer_pool_size"))
    reads, asked = (_number(status.get(f"innodb_buffer_pool_{x}")) for x in ("reads", "read_requests"))
    report.part("server").facts(
        source,
        version=settings.get("version"),
        distribution=settings.get("version_comment"),
        uptime_seconds=_number(status.get("uptime")),
        bind_address=settings.get("bind_address"),
        data_directory=settings.get("datadir"),
        read_only=settings.get("read_only") not in ("OFF", "0", None),
        buffer_pool_bytes=pool,
        buffer_pool_hit_percent=round(100 * (1 - reads / asked), 3) if reads is not None and asked else None,
    )


def _connections(report: Report, status: Mapping[str, str], settings: Mapping[str, str], source: str) -> None:
    now, most = _number(status.get("threads_connected")), _number(settings.get("max_connections"))
    peak = _number(status.get("max_used_connections"))
    refused = _number(status.get("connection_errors_max_connections"))
    report.part("connections").facts(
        source,
        connected=now,
        running=_number(status.get("threads_running")),
        limit=most,
        headroom=most - now if most is not None and now is not None else None,
        peak=peak,
        refused_at_the_limit=refused,
        aborted=_number(status.get("aborted_connects")),
    )
    if most and now is not None and now >= NEARLY_FULL * most:
        report.degraded(f'{now} of {most} connections are used; the next ones get "Too many connections"')
    elif refused:
        report.degraded(f"{refused} clients were refused for too many connections since it was started")


def _slow(report: Report, status: Mapping[str, str], settings: Mapping[str, str], source: str) -> None:
    limit = settings.get("long_query_time", "")
    report.part("slow_queries").facts(
        source,
        slow_queries=_number(status.get("slow_queries")),
        questions=_number(status.get("questions")),
        slow_after_seconds=float(limit) if limit.replace(".", "", 1).isdigit() and limit.isascii() else None,
        log_is_on=settings.get("slow_query_log") in ("ON", "1"),
        log_file=settings.get("slow_query_log_file"),
    )


def _databases(report: Report, found: Sequence[Row], source: str) -> None:
    rows: list[dict[str, Value]] = []
    for row in found:
        data, indexes = (_number(row.get(key)) or 0 for key in ("data", "indexes"))
        rows.append(
            {
                "database": row.get("name"),
                "tables": _number(row.get("tables")),
                "size_bytes": data + indexes,
                "system": row.get("name") in SYSTEM,
            }
        )
    rows.sort(key=lambda r: (bool(r["system"]), -int(r["size_bytes"] or 0), str(r["database"])))
    report.part("databases").table(
        "databases",
        ("database", "tables", "size_bytes", "system"),
        rows,
        source=f"{source}, information_schema",
    )


def _threads(report: Report, found: Sequence[Row], source: str) -> None:
    rows: list[dict[str, Value]] = [
        {
            "user": row.get("user"),
            "database": row.get("db") or "",
            "command": row.get("command"),
            "state": row.get("state") or "",
            "threads": _number(row.get("threads")),
            "longest_seconds": _number(row.get("longest")),
        }
        for row in found
    ]
    rows.sort(key=lambda r: (r["command"] in ("Sleep", "Daemon"), -int(r["longest_seconds"] or 0)))
    columns = ("user", "database", "command", "state", "threads", "longest_seconds")
    report.part("threads").table("threads", columns, rows, source=f"{source}, processlist")


_REPLICA = {
    "channel": ("Channel_Name", "Connection_name"),
    "source_host": ("Source_Host", "Master_Host"),
    "io": ("Replica_IO_Running", "Slave_IO_Running"),
    "sql": ("Replica_SQL_Running", "Slave_SQL_Running"),
    "behind_seconds": ("Seconds_Behind_Source", "Seconds_Behind_Master"),
    "last_error": ("Last_SQL_Error", "Last_IO_Error", "Last_Error"),
}


def _replicas(report: Report, found: Sequence[Row], source: str) -> None:
    rows: list[dict[str, Value]] = []
    for row in found:
        told: dict[str, Value] = {
            name: next((v for key in keys if (v := row.get(key))), None) for name, keys in _REPLICA.items()
        }
        behind = told["behind_seconds"]
        told["behind_seconds"] = _number(behind) if isinstance(behind, str) else None
        rows.append(told)
        if told["io"] != "Yes" or told["sql"] != "Yes":
            report.down(
                f"replication from {told['source_host']} has stopped; {told['last_error'] or 'see its log'}"
            )
    part = report.part("replication")
    part.facts(f"{source}, replica status", replica=bool(rows))
    if rows:
        part.table("sources", tuple(_REPLICA), rows, source=source)
