"""Elasticsearch and Meilisearch: stand-ins, whose answers have the shapes of their manuals, and nonsense.

The numbers are made up; the shapes are those of Elasticsearch 1.5 and 7.10 (cluster health, stats, nodes
stats, cluster state) and of Meilisearch 1.x (health, version, stats, tasks).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.cluster.model import State
from edxconsole.inspect import elasticsearch, meilisearch
from edxconsole.inspect.elasticsearch_disk import Disk, beyond, flat, watermarks
from edxconsole.inspect.model import Inspection
from edxconsole.inspect.report import Report
from tests.support.web_api import StandIn
from tests.unit.inspect.stage import CATALOG, Serve, Stage, listener, look, served, snapshot

GIB = 1 << 30


def index(status: str, unassigned: int = 0) -> dict[str, object]:
    return {"status": status, "number_of_shards": 1, "number_of_replicas": 1, "unassigned_shards": unassigned}


def node(name: str, total: int, available: int, heap: int) -> dict[str, object]:
    disk = {"total_in_bytes": total, "free_in_bytes": available + GIB, "available_in_bytes": available}
    return {"name": name, "fs": {"total": disk}, "jvm": {"mem": {"heap_used_percent": heap}}}


def pages(**other: object) -> dict[str, object]:
    """A single node with two indices, yellow as such a node is."""
    docs = {"primaries": {"docs": {"count": 4321}}, "total": {"store": {"size_in_bytes": 99_000}}}
    marks = {"low": "85%", "high": "90%", "flood_stage": "95%"}
    usual = {
        "root": {"name": "n1", "cluster_name": "edx", "version": {"number": "7.10.2-stand-in"}},
        "health": {
            "cluster_name": "edx", "status": "yellow", "number_of_nodes": 1, "number_of_data_nodes": 1,
            "active_shards": 2, "initializing_shards": 0, "unassigned_shards": 2,
            "number_of_pending_tasks": 0,
            "indices": {"courseware_index": index("yellow", 1), "course_info": index("yellow", 1)},
        },
        "stats": {"indices": {"courseware_index": docs}},
        "nodes": {"nodes": {"abc": node("n1", 100 * GIB, 60 * GIB, 41)}},
        "settings": {"defaults": {"cluster": {"routing": {"allocation": {"disk": {"watermark": marks}}}}}},
        "blocks": {"cluster_name": "edx", "blocks": {}},
    }  # fmt: skip
    said = usual | other
    return {
        "/": said["root"],
        "/_cluster/health": said["health"],
        "/_stats/docs,store": said["stats"],
        "/_nodes/stats/fs,jvm": said["nodes"],
        "/_cluster/settings": said["settings"],
        "/_cluster/state/blocks": said["blocks"],
    }


async def of(stage: Stage, component: str, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Inspection:
    async with served(serve) as port:
        known = CATALOG.components[component]
        where = known.tutor if known.tutor and not known.health else known
        spec = where.health[0].model_copy(update={"port": port})
        changed = known.model_copy(update={"health": (spec,)})
        monkeypatch.setitem(CATALOG.components, component, changed)
        host = snapshot(component, [], [listener(port, component)])
        return await look(component, stage, host)


def texts(found: Inspection) -> list[tuple[State, str]]:
    return [(f.state, f.text) for f in found.findings]


async def test_a_single_node_is_yellow_and_well(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandIn(pages())
    found = await of(stage, "elasticsearch", server.serve, monkeypatch)
    assert (found.missing, found.findings) == ((), ())
    assert found.section("server").fact("version") == "7.10.2-stand-in"
    assert found.section("health").fact("status") == "yellow"
    rows = found.section("indices").table("indices").rows
    assert [(r["index"], r["documents"], r["size_bytes"]) for r in rows] == [
        ("courseware_index", 4321, 99_000),
        ("course_info", None, None),
    ]
    (row,) = found.section("nodes").table("nodes").rows
    assert (row["used_percent"], row["beyond"], row["heap_percent"]) == (40.0, None, 41)
    assert found.section("nodes").fact("watermark_flood_stage") == "95%"
    assert {line.split()[0] for line in server.asked} == {"GET"}


async def test_a_full_disk_and_what_comes_of_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = {"description": "index read-only / allow delete (api)", "levels": ["write", "metadata_write"]}
    closed = {"description": "index closed", "levels": ["read", "write"]}
    said = pages(
        nodes={"nodes": {"a": node("n1", 100 * GIB, 4 * GIB, 95), "b": node("n2", 100 * GIB, 12 * GIB, 5)}},
        blocks={"blocks": {"indices": {"courseware_index": {"12": blocked}, "old": {"4": closed}}}},
        health={
            "status": "red",
            "number_of_nodes": 2,
            "unassigned_shards": 3,
            "indices": {"x": index("red", 3)},
        },
    )
    found = await of(stage, "elasticsearch", StandIn(said).serve, monkeypatch)
    assert texts(found) == [
        (State.DOWN, "its health is red: primary shards are missing, 3 shards are not assigned"),
        (State.DOWN, "n1 is beyond the flood stage of 95%: its indices are made read-only"),
        (State.DEGRADED, "95 % of the heap of n1 is used"),
        (State.DEGRADED, "n2 is beyond the low watermark of 85%: it gets no more shards"),
        (
            State.DOWN,
            "courseware_index refuses writes: index read-only / allow delete (api); "
            "free disk, then clear index.blocks.read_only_allow_delete",
        ),
    ]


async def test_an_old_one_tells_less(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.5 has no filter_path and no defaults in its settings; what it does not know it answers with 400."""
    root = {"status": 200, "cluster_name": "edx", "version": {"number": "1.5.2-stand-in"}}
    said = pages(root=root, settings={"persistent": {}, "transient": {}}, blocks=400)
    found = await of(stage, "elasticsearch", StandIn(said).serve, monkeypatch)
    (missing,) = found.missing
    assert (missing.what, missing.cause) == (
        "blocks",
        "Elasticsearch answers 400 to GET /_cluster/state/blocks",
    )
    names = [f.name for f in found.section("nodes").facts]
    assert names == ["watermark_low", "watermark_high"], "the flood stage came with 6.0"
    assert len(found.section("indices").table("indices").rows) == 2


async def test_one_that_wants_a_login(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await of(stage, "elasticsearch", StandIn({"/": 401}).serve, monkeypatch)
    (missing,) = found.missing
    assert missing.cause == "Elasticsearch answers 401 to GET /"
    assert found.sections == ()


@pytest.mark.parametrize(
    ("mark", "fuller"),
    [("85%", True), ("0.85", True), ("95%", False), ("12gb", True), ("500mb", False), ("0b", False)],
)
def test_watermarks_in_all_their_forms(mark: str, fuller: bool) -> None:
    assert beyond(Disk(100 * GIB, 10 * GIB), mark) is fuller


def test_watermarks_flat_and_nested() -> None:
    said = {
        "transient": {"cluster.routing.allocation.disk.watermark.high": "20mb"},
        "persistent": {"cluster": {"routing": {"allocation.disk.watermark": {"high": "1gb", "low": "2gb"}}}},
    }
    assert watermarks(said, (7, 1)) == {"low": "2gb", "high": "20mb", "flood_stage": "95%"}
    assert watermarks(None, (1, 5)) == {"low": "85%", "high": "90%"}
    assert beyond(Disk(1, 1), "nonsense") is None


STATS = {
    "databaseSize": 447_819_776,
    "usedDatabaseSize": 196_608,
    "lastUpdate": "2026-11-23T07:15:22.092896Z",
    "indexes": {
        "tutor_courseware_content": {
            "numberOfDocuments": 19_654,
            "isIndexing": False,
            "fieldDistribution": {},
        },
        "tutor_studio_content": {"numberOfDocuments": 12, "isIndexing": True, "rawDocumentDbSize": 4096},
    },
}
TASK = {
    "uid": 7, "indexUid": "tutor_studio_content", "status": "failed", "type": "documentAdditionOrUpdate",
    "error": {"message": "the document of learner@example.org", "code": "invalid_document_id"},
    "finishedAt": "2026-11-23T07:00:00Z",
}  # fmt: skip
MEILI: Mapping[str, object] = {
    "/health": {"status": "available"},
    "/version": {"commitSha": "x", "commitDate": "x", "pkgVersion": "1.36.0-stand-in"},
    "/stats": STATS,
    "/tasks": {"results": [TASK], "total": 1, "limit": 20, "from": 7, "next": None},
}
KEY = "hunter2key"


async def of_meili(
    stage: Stage, serve: Serve, monkeypatch: pytest.MonkeyPatch, tree: object = None
) -> Inspection:
    """With this as Tutor's config.yml of the login user."""
    text = json.dumps(tree) if tree is not None else ""
    stage.script = {"sh -c": (0, text, "") if text else (78, "", "")}
    return await of(stage, "meilisearch", serve, monkeypatch)


async def test_meilisearch_with_tutors_key(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandIn(MEILI, key=KEY)
    found = await of_meili(stage, server.serve, monkeypatch, {"MEILISEARCH_MASTER_KEY": KEY})
    assert found.missing == ()
    assert found.section("version").fact("version") == "1.36.0-stand-in"
    part = found.section("indices")
    assert (part.fact("database_bytes"), part.fact("used_bytes")) == (447_819_776, 196_608)
    assert [(r["index"], r["documents"], r["indexing"]) for r in part.table("indices").rows] == [
        ("tutor_courseware_content", 19_654, False),
        ("tutor_studio_content", 12, True),
    ]
    assert found.section("tasks").fact("failed") == 1
    assert texts(found) == [
        (State.DEGRADED, "1 tasks failed, the last of tutor_studio_content: invalid_document_id")
    ]
    for secret in (KEY, "learner@example.org"):
        assert secret not in repr(found)


@pytest.mark.parametrize(
    "tree", [None, {"MEILISEARCH_MASTER_KEY": "hunter3"}, {"MEILISEARCH_MASTER_KEY": "a\nb"}]
)
async def test_meilisearch_without_a_key_that_fits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tree: object
) -> None:
    found = await of_meili(stage, StandIn(MEILI, key=KEY).serve, monkeypatch, tree)
    (missing,) = found.missing
    assert missing.what == "version, indices and tasks"
    assert found.section("server").fact("status") == "available"
    assert "hunter" not in repr(found)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def says(what: bytes, *, for_ever: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(what)
        while for_ever:
            writer.write(b"x" * 65536)
            await writer.drain()
        await writer.drain()

    return serve


HEAD = b"HTTP/1.1 200 OK\r\n"
BAD = {
    "an answer without an end": says(HEAD + b"\r\n[", for_ever=True),
    "a header without an end": says(b"HTTP/1.1 200 OK\r\nA: ", for_ever=True),
    "another protocol": says(b"220 mail ESMTP\r\n"),
    "a redirect": says(b"HTTP/1.1 302 x\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"),
    "no JSON": says(HEAD + b"Content-Length: 6\r\n\r\n<html>"),
    "a list": says(HEAD + b"Content-Length: 2\r\n\r\n[]"),
    "an empty object": says(HEAD + b"Content-Length: 2\r\n\r\n{}"),
    "deep JSON": says(HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000),
    "a hang-up": says(b""),
}


@pytest.mark.parametrize("component", ["elasticsearch", "meilisearch"])
@pytest.mark.parametrize("how", sorted(BAD))
async def test_what_is_no_such_service_is_one_sentence(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, component: str, how: str
) -> None:
    found = await of(stage, component, BAD[how], monkeypatch)
    (missing,) = found.missing
    assert missing.what == CATALOG.components[component].title
    assert found.sections == ()


@pytest.mark.parametrize("component", ["elasticsearch", "meilisearch"])
async def test_one_that_accepts_and_says_nothing_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, component: str
) -> None:
    monkeypatch.setattr("edxconsole.inspect.web_api.TIMEOUT", 0.3)
    found = await of(stage, component, silent, monkeypatch)
    (missing,) = found.missing
    assert missing.cause == "no whole answer within 0.3 s"


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
KEYS = st.sampled_from(
    ["nodes", "fs", "total", "indices", "blocks", "global", "levels", "status", "jvm", "mem", "indexes",
     "total_in_bytes", "available_in_bytes", "results", "uid", "error", "cluster", "version", "number"]
)  # fmt: skip
TREE = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)
BODY = st.dictionaries(KEYS, TREE, max_size=4)


@given(BODY, BODY, BODY, BODY)
def test_any_answers_are_taken(first: Any, second: Any, third: Any, fourth: Any) -> None:
    report = Report()
    refuses = dict(elasticsearch._refusing(first))
    elasticsearch._health(report, second)
    elasticsearch._indices(report, second, third, refuses)
    elasticsearch._disks(report, first, watermarks(fourth, (7,)), told=True)
    meilisearch._indices(report, second)
    meilisearch._tasks(report, third, fourth)
    report.done("h", "elasticsearch")


@given(TREE, st.text(max_size=12) | st.from_regex(r"[0-9.]{0,30}(%|[kmgtp]?b)?"), st.integers(0, 1 << 60))
def test_any_settings_and_marks_are_read(tree: Any, mark: str, free: int) -> None:
    assert set(watermarks(tree, (7, 1))) == {"low", "high", "flood_stage"}
    list(flat(tree))
    assert beyond(Disk(1 << 60, free), mark) in (True, False, None)
    elasticsearch.numbers(mark)
