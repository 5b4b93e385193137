"""MongoDB: databases, connections, operations that wait, replica set, how far the oplog reaches."""

from __future__ import annotations

from collections.abc import Mapping

from edxconsole.inspect import mongodb_client, mongodb_old
from edxconsole.inspect.app_settings import edxapp_settings, settings_of
from edxconsole.inspect.bridge import bridge
from edxconsole.inspect.model import NONE, Value
from edxconsole.inspect.mongodb_client import SPOKEN_FROM, Login
from edxconsole.inspect.mongodb_interview import Told, members_of, number, text
from edxconsole.inspect.places import place_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import Project, project_of
from edxconsole.transport.base import Endpoint

PORT = 27017
TIMEOUT = 25.0
"""seconds for the whole conversation"""
OLD_LIMIT = 8 << 20
NEARLY_FULL = 0.85
LATE = 60.0
"""seconds a secondary may be behind before it is told"""
SHORT_OPLOG = 24 * 3600.0
"""a member that is away for longer than the oplog reaches must be copied anew"""
SYSTEM = ("admin", "config", "local")
MIB = 1 << 20
REMEDY = "give the user of DOC_STORE_CONFIG there the role clusterMonitor"


async def inspect_mongodb(sight: Sight, report: Report) -> None:
    """By the user of the host's own edxapp configuration, else without a login: then it tells less."""
    project = await project_of(sight, report)
    endpoint = place_of(sight, report, PORT, project)
    if endpoint is None:
        return
    hello = await report.attempt("MongoDB", sight.ask(endpoint, mongodb_old.hello))
    if hello is None:
        return
    wire = number(hello, "maxWireVersion") or 0
    login = await (_login(sight, report) if project is None else _tutor_login(sight, report, project))
    told: Told | None = None
    if login is not None:
        told = await report.attempt("login", _converse(sight, endpoint, wire, login))
    told = told or await report.attempt("MongoDB", _converse(sight, endpoint, wire, None))
    if told is not None:
        _fill(report, told, str(endpoint), login=login is not None)


async def _converse(sight: Sight, endpoint: Endpoint, wire: int, login: Login | None) -> Told:
    if wire < SPOKEN_FROM:
        return await sight.ask(
            endpoint, lambda w: mongodb_old.converse(w, login), timeout=TIMEOUT, limit=OLD_LIMIT
        )
    async with bridge(sight.transport, endpoint) as over:
        return await over.work(lambda: mongodb_client.converse(over.path, login), timeout=TIMEOUT)


async def _login(sight: Sight, report: Report) -> Login | None:
    """The module store's user, where a configuration on this host names this host's MongoDB."""
    own = {
        "localhost",
        "127.0.0.1",
        "::1",
        "mongodb",
        sight.host.name,
        sight.host.hostname,
        sight.host.address,
    }
    for settings in await edxapp_settings(sight, report):
        store = settings.tree.get("DOC_STORE_CONFIG")
        if isinstance(store, Mapping) and own & hosts_of(store):
            user, password = (store.get(key) for key in ("user", "password"))
            source = store.get("authsource") or store.get("auth_source") or store.get("db")
            if isinstance(user, str) and user and isinstance(password, str):
                return Login(user, password, source if isinstance(source, str) else "admin")
    return None


async def _tutor_login(sight: Sight, report: Report, project: Project) -> Login | None:
    """Of Tutor's config.yml; as Tutor sets it up, its MongoDB wants none."""
    path = project.file("config.yml")
    found = await settings_of(sight, report, [[path]], reader="root") if path else []
    for settings in found:
        names = ("MONGODB_USERNAME", "MONGODB_PASSWORD", "MONGODB_AUTH_SOURCE")
        user, password, source = (settings.tree.get(name) for name in names)
        if isinstance(user, str) and user and isinstance(password, str):
            return Login(user, password, source if isinstance(source, str) and source else "admin")
    return None


def hosts_of(store: Mapping[str, object]) -> set[str]:
    """The hosts of a DOC_STORE_CONFIG, without ports: a list, or text with commas."""
    found = store.get("host")
    words = found if isinstance(found, list) else str(found or "localhost").split(",")
    return {word.strip().partition(":")[0] for word in words if isinstance(word, str)}


def _fill(report: Report, told: Told, where: str, *, login: bool) -> None:
    status, build = told.status, told.build
    source = f"serverStatus at {where}"
    server = report.part("server")
    server.facts(f"buildInfo at {where}", version=text(build, "version") or None)
    server.facts(f"isMaster at {where}", takes_writes=told.hello.get("ismaster") is True)
    server.facts(
        source,
        pid=number(status, "pid"),
        uptime_seconds=number(status, "uptime"),
        storage_engine=text(status, "storageEngine", "name") or None,
    )
    if status:
        _load(report, told, source)
    _databases(report, told)
    _replica(report, told)
    denied = list(dict.fromkeys(what for what, refusal in told.refused if refusal.unauthorized))
    if denied:
        who = "the user of the configuration" if login else "who has not logged in"
        cause = f"MongoDB does not tell it to {who}"
        why = REMEDY if login else "no user for this MongoDB is named in a configuration on this host"
        report.missing(", ".join(denied), cause, why)
    for what, refusal in told.refused:
        if not refusal.unauthorized:
            report.missing(what, f"MongoDB says {refusal.cause}")


def _load(report: Report, told: Told, source: str) -> None:
    status = told.status
    now, free = number(status, "connections", "current"), number(status, "connections", "available")
    limit = now + free if now is not None and free is not None else None
    report.part("connections").facts(
        source,
        current=now,
        available=free,
        limit=limit,
        active=number(status, "connections", "active"),
        created=number(status, "connections", "totalCreated"),
    )
    if limit and now is not None and now >= NEARLY_FULL * limit:
        report.degraded(f"{now} of {limit} connections are used; the next ones are refused")
    waiting = number(status, "globalLock", "currentQueue", "total")
    report.part("operations").facts(
        source,
        waiting=waiting,
        waiting_readers=number(status, "globalLock", "currentQueue", "readers"),
        waiting_writers=number(status, "globalLock", "currentQueue", "writers"),
        active_readers=number(status, "globalLock", "activeClients", "readers"),
        active_writers=number(status, "globalLock", "activeClients", "writers"),
    )
    if waiting:
        report.degraded(f"{waiting} operations wait for a lock")
    resident = number(status, "mem", "resident")
    report.part("memory").facts(source, resident_bytes=resident * MIB if resident is not None else None)


def _databases(report: Report, told: Told) -> None:
    if told.databases is None:
        return
    rows: list[dict[str, Value]] = [
        {
            "database": text(row, "db"),
            "collections": number(row, "collections"),
            "documents": number(row, "objects"),
            "data_bytes": number(row, "dataSize"),
            "indexes": number(row, "indexes"),
            "on_disk_bytes": number(row, "sizeOnDisk"),
            "system": text(row, "db") in SYSTEM,
        }
        for row in told.databases
    ]
    rows.sort(key=lambda r: (bool(r["system"]), -int(r["on_disk_bytes"] or 0), str(r["database"])))
    columns = ("database", "collections", "documents", "data_bytes", "indexes", "on_disk_bytes", "system")
    report.part("databases").table("databases", columns, rows, source="listDatabases, dbStats")
    if told.unlisted:
        report.missing("databases", f"{told.unlisted} more were not asked")


def _replica(report: Report, told: Told) -> None:
    name = text(told.hello, "setName")
    part = report.part("replica_set")
    part.facts("isMaster", name=name or NONE, primary=text(told.hello, "primary") or NONE)
    if not name:
        return
    oldest, newest = told.oplog
    window = (
        round(newest - oldest) if oldest is not None and newest is not None and newest >= oldest else None
    )
    part.facts("local.oplog.rs", oplog_window_seconds=window)
    if window is not None and window < SHORT_OPLOG:
        report.degraded(f"its oplog reaches {window / 3600:.1f} h back; a member away for longer is lost")
    if not text(told.hello, "primary"):
        report.down(f"the replica set {name} has no primary: nothing can be written")
    members = members_of(told.replica)
    rows: list[dict[str, Value]] = []
    for member in members:
        rows.append(
            {
                "member": member.name,
                "state": member.state,
                "healthy": member.healthy,
                "asked": member.mine,
                "behind_seconds": round(member.lag) if member.lag is not None else None,
                "uptime_seconds": member.uptime,
                "says": member.says,
            }
        )
        if not member.healthy:
            report.degraded(f"{member.name} is not reached by this member; {member.says or member.state}")
        elif member.state in ("RECOVERING", "ROLLBACK", "STARTUP2", "REMOVED", "UNKNOWN", "DOWN"):
            report.degraded(f"{member.name} is {member.state}: it serves nobody")
        elif member.lag is not None and member.lag > LATE:
            report.degraded(f"{member.name} is {member.lag:.0f} s behind the primary")
    if rows:
        columns = ("member", "state", "healthy", "asked", "behind_seconds", "uptime_seconds", "says")
        part.table("members", columns, rows, source="replSetGetStatus")
