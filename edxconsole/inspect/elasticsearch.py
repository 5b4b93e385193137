"""Elasticsearch, 1.5 to 7: health, indices, disks against their watermarks, what refuses to be written to.

Its own API by httpx; no document is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.elasticsearch_disk import FLOOD, HIGH, LOW, Disk, beyond, watermarks
from edxconsole.inspect.model import Value
from edxconsole.inspect.places import place_of
from edxconsole.inspect.report import Report
from edxconsole.inspect.sight import Sight
from edxconsole.inspect.tutor import project_of
from edxconsole.inspect.web_api import Json, WebApi, at, web_api, whole, words

PORT = 9200
HEALTH = ("/_cluster/health", {"level": "indices"})
STATS = ("/_stats/docs,store", None)
NODES = ("/_nodes/stats/fs,jvm", None)
SETTINGS = ("/_cluster/settings", {"include_defaults": "true", "filter_path": "**.watermark"})
BLOCKS = ("/_cluster/state/blocks", None)
FULL_HEAP = 90
CLOSED = "4"
"""the id of the block of a closed index, which somebody wanted (IndexMetaData.java)"""
CLEAR = "free disk, then clear index.blocks.read_only_allow_delete"


async def inspect_elasticsearch(sight: Sight, report: Report) -> None:
    """Five questions; what one of them does not tell is missing, the others are shown."""
    endpoint = place_of(sight, report, PORT, await project_of(sight, report))
    if endpoint is None:
        return
    async with web_api(sight.transport, endpoint, "Elasticsearch") as api:
        root = await report.attempt("Elasticsearch", _root(api))
        if root is None:
            return
        version = words(at(root, "version", "number"))
        health = await report.attempt("health", api.get(*HEALTH))
        stats = await report.attempt("documents and sizes", api.get(*STATS))
        nodes = await report.attempt("disks", api.get(*NODES))
        settings = await report.attempt("watermarks", api.get(*SETTINGS))
        blocks = await report.attempt("blocks", api.get(*BLOCKS))
    cluster = words(root.get("cluster_name")) or None
    report.part("server").facts("GET /", version=version or None, cluster=cluster)
    refuses = dict(_refusing(blocks))
    if health is not None:
        _health(report, health)
        _indices(report, health, stats, None if blocks is None else refuses)
    if nodes is not None:
        marks = watermarks(settings, numbers(version))
        _disks(report, nodes, marks, told=settings is not None)
    for name, why in list(refuses.items())[:20]:
        report.down(f"{name} refuses writes: {why}; {CLEAR}")


async def _root(api: WebApi) -> Json:
    root = await api.get("/")
    if not isinstance(root.get("version"), Mapping):
        raise NotUnderstood("what listens there answers, but not as Elasticsearch")
    return root


def numbers(version: str) -> tuple[int, ...]:
    """(7, 10, 2) of "7.10.2"; () where it is none."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", version)
    return tuple(int(n) for n in found.groups() if n) if found else ()


def _health(report: Report, health: Json) -> None:
    status, nodes = words(health.get("status")), whole(health.get("number_of_nodes"))
    lost = whole(health.get("unassigned_shards"))
    report.part("health").facts(
        "GET /_cluster/health",
        status=status or None,
        nodes=nodes,
        data_nodes=whole(health.get("number_of_data_nodes")),
        active_shards=whole(health.get("active_shards")),
        initializing_shards=whole(health.get("initializing_shards")),
        unassigned_shards=lost,
        pending_tasks=whole(health.get("number_of_pending_tasks")),
    )
    if status == "red":
        report.down(f"its health is red: primary shards are missing, {lost} shards are not assigned")
    elif status == "yellow" and nodes is not None and nodes > 1:
        # A single node can hold no replica and is yellow for ever, which harms nobody.
        report.degraded(f"its health is yellow on {nodes} nodes: {lost} replicas are not assigned")


def _indices(report: Report, health: Json, stats: Json | None, refuses: Mapping[str, str] | None) -> None:
    states, sizes = at(health, "indices"), at(stats, "indices")
    known = states if isinstance(states, Mapping) else {}
    rows: list[dict[str, Value]] = []
    for name, state in known.items():
        told = at(sizes, name)
        rows.append(
            {
                "index": str(name),
                "status": words(at(state, "status")) or None,
                "documents": whole(at(told, "primaries", "docs", "count")),
                "size_bytes": whole(at(told, "total", "store", "size_in_bytes")),
                "unassigned_shards": whole(at(state, "unassigned_shards")),
                "read_only": None if refuses is None else refuses.get(str(name), ""),
            }
        )
    rows.sort(key=lambda r: (r["status"] == "green", -int(r["size_bytes"] or 0), str(r["index"])))
    columns = ("index", "status", "documents", "size_bytes", "unassigned_shards", "read_only")
    source = "GET /_cluster/health?level=indices, /_stats/docs,store, /_cluster/state/blocks"
    report.part("indices").table("indices", columns, rows, source=source)


def _refusing(blocks: Json | None) -> Iterator[tuple[str, str]]:
    """(index, or "every index"; why) of what may not be written to."""
    everywhere = at(blocks, "blocks", "global")
    for _, block in everywhere.items() if isinstance(everywhere, Mapping) else ():
        yield "every index", words(at(block, "description")) or "a block without a description"
    indices = at(blocks, "blocks", "indices")
    for name, found in indices.items() if isinstance(indices, Mapping) else ():
        for ident, block in found.items() if isinstance(found, Mapping) else ():
            levels = at(block, "levels")
            if ident != CLOSED and isinstance(levels, list) and "write" in levels:
                yield str(name), words(at(block, "description")) or "a block without a description"


def _disks(report: Report, nodes: Json, marks: Mapping[str, str], *, told: bool) -> None:
    found = nodes.get("nodes")
    part, rows = report.part("nodes"), list[dict[str, Value]]()
    source = "GET /_cluster/settings" if told else "defaults of its version"
    part.facts(source, **{f"watermark_{name}": mark for name, mark in marks.items()})
    for ident, node in found.items() if isinstance(found, Mapping) else ():
        name = words(at(node, "name")) or str(ident)[:30]
        total, free = (whole(at(node, "fs", "total", f"{x}_in_bytes")) for x in ("total", "available"))
        disk = _disk(total, free)
        heap = whole(at(node, "jvm", "mem", "heap_used_percent"))
        over = _over(disk, marks) if disk else None
        rows.append(
            {
                "node": name,
                "disk_bytes": total,
                "available_bytes": free,
                "used_percent": disk.used_percent if disk else None,
                "beyond": over,
                "heap_percent": heap,
            }
        )
        if over == FLOOD:
            report.down(f"{name} is beyond the flood stage of {marks[FLOOD]}: its indices are made read-only")
        elif over is not None:
            report.degraded(f"{name} is beyond the {over} watermark of {marks[over]}: it gets no more shards")
        if heap is not None and heap >= FULL_HEAP:
            report.degraded(f"{heap} % of the heap of {name} is used")
    columns = ("node", "disk_bytes", "available_bytes", "used_percent", "beyond", "heap_percent")
    part.table("nodes", columns, rows, source="GET /_nodes/stats/fs,jvm")


def _disk(total: int | None, free: int | None) -> Disk | None:
    return Disk(total, free) if total and free is not None and 0 <= free <= total else None


def _over(disk: Disk, marks: Mapping[str, str]) -> str | None:
    """The highest watermark that a disk is beyond."""
    return next((name for name in (FLOOD, HIGH, LOW) if name in marks and beyond(disk, marks[name])), None)
