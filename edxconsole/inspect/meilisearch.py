"""Meilisearch: health, indices with their documents, tasks that wait or failed.

`/health` needs no key. The rest is asked with the master key of Tutor's config.yml, read at the moment of use
where it can be found; no document is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from edxconsole.errors import (
    ConnectionLost,
    NotUnderstood,
    PermissionMissing,
    ServiceError,
    ServiceUnavailable,
    TransportError,
)
from edxconsole.inspect.edxapp_config import parse_config
from edxconsole.inspect.model import NONE, Value
from edxconsole.inspect.places import place_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import Project, project_of
from edxconsole.inspect.web_api import Json, WebApi, at, web_api, whole, words

PORT = 7700
KEYS = ("MEILISEARCH_MASTER_KEY", "MEILISEARCH_API_KEY")
TUTOR_ROOT = ".local/share/tutor/config.yml"
LISTED = 20
"""failed tasks that are shown"""
WAITING = {"statuses": "enqueued,processing", "limit": "1"}
FAILED = {"statuses": "failed", "limit": str(LISTED)}


async def inspect_meilisearch(sight: Sight, report: Report) -> None:
    """Without a key it is told whether it is available, and nothing more."""
    project = await project_of(sight, report)
    endpoint = place_of(sight, report, PORT, project)
    if endpoint is None:
        return
    async with web_api(sight.transport, endpoint, "Meilisearch") as api:
        health = await report.attempt("Meilisearch", _health(api))
    if health is None:
        return
    status = words(health.get("status"))
    report.part("server").facts("GET /health", status=status)
    if status != "available":
        report.down(f"it says it is {status}")
    key = await _key(sight, report, project)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    async with web_api(sight.transport, endpoint, "Meilisearch", headers=headers) as api:
        try:
            version = await api.get("/version")
        except PermissionMissing:
            said = "does not accept the key of Tutor's config.yml" if key else "wants a key; none was found"
            remedy = f"let {sight.login or 'the login user'} read Tutor's config.yml"
            report.missing("version, indices and tasks", f"Meilisearch {said}", remedy)
            return
        except ConnectionLost:
            raise
        except (ServiceError, TransportError) as error:
            report.lacks("version, indices and tasks", error)
            return
        report.part("version").facts("GET /version", version=words(version.get("pkgVersion")) or None)
        stats = await report.attempt("indices", api.get("/stats"))
        waiting = await report.attempt("tasks", api.get("/tasks", WAITING))
        failed = await report.attempt("tasks", api.get("/tasks", FAILED))
    if stats is not None:
        _indices(report, stats)
    _tasks(report, waiting, failed)


async def _health(api: WebApi) -> Json:
    health = await api.get("/health")
    if not isinstance(health.get("status"), str):
        raise NotUnderstood("what listens there answers, but not as Meilisearch")
    return health


async def _key(sight: Sight, report: Report, project: Project | None) -> str | None:
    """Tutor's key: of its project, else of the login user's own installation or root's."""
    login = sight.login
    homes = [f"/home/{login}"] if login and login != "root" and "/" not in login else []
    told = project.file("config.yml") if project is not None else None
    for path in [told] if told else [f"{home}/{TUTOR_ROOT}" for home in (*homes, "/root")]:
        try:
            tree = await asyncio.to_thread(parse_config, await sight.read(path), path)
        except ConnectionLost:
            raise
        except ServiceUnavailable:
            continue
        except (ServiceError, TransportError) as error:
            report.lacks(f"key in {path}", error)
            continue
        found = next((value for name in KEYS if isinstance(value := tree.get(name), str) and value), None)
        if found is not None and found.isascii() and found.isprintable():
            return found
    return None


def _indices(report: Report, stats: Json) -> None:
    found = stats.get("indexes")
    rows: list[dict[str, Value]] = [
        {
            "index": str(name),
            "documents": whole(at(told, "numberOfDocuments")),
            "indexing": at(told, "isIndexing") is True,
            "size_bytes": whole(at(told, "rawDocumentDbSize")),
        }
        for name, told in (found.items() if isinstance(found, Mapping) else ())
    ]
    rows.sort(key=lambda r: (-int(r["documents"] or 0), str(r["index"])))
    part = report.part("indices")
    part.facts(
        "GET /stats",
        database_bytes=whole(stats.get("databaseSize")),
        used_bytes=whole(stats.get("usedDatabaseSize")),
        last_update=words(stats.get("lastUpdate")) or NONE,
    )
    part.table("indices", ("index", "documents", "indexing", "size_bytes"), rows, source="GET /stats")


def _tasks(report: Report, waiting: Json | None, failed: Json | None) -> None:
    """Before 1.0 there is no total. The details of a task are not shown: they may hold what was indexed."""
    if waiting is None and failed is None:
        return
    lost = whole(at(failed, "total"))
    part = report.part("tasks")
    part.facts("GET /tasks", waiting=whole(at(waiting, "total")), failed=lost)
    found = at(failed, "results")
    rows: list[dict[str, Value]] = [
        {
            "task": whole(at(task, "uid")),
            "index": words(at(task, "indexUid")),
            "kind": words(at(task, "type")) or None,
            "error": words(at(task, "error", "code")),
            "finished": words(at(task, "finishedAt")),
        }
        for task in (found[:LISTED] if isinstance(found, list) else ())
    ]
    if rows:
        part.table("failed", ("task", "index", "kind", "error", "finished"), rows, source="GET /tasks")
        count = lost if lost is not None else len(rows)
        report.degraded(f"{count} tasks failed, the last of {rows[0]['index']}: {rows[0]['error']}")
