"""Inspections of a real MongoDB, Elasticsearch and Meilisearch, wherever a machine has them.

The machines this project is tested on have none, and can't get them: there these tests say so and end as
expected failures, which CI allows (tests/conftest.py); the protocols are then tried on stand-ins only
(tests/unit/inspect/test_mongodb.py, test_search.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edxconsole.inspect.model import Inspection
from edxconsole.inspect.registry import inspect_component
from edxconsole.inventory.model import Host
from edxconsole.transport.local_transport import LocalTransport
from tests.lab import needs
from tests.unit.inspect.stage import CATALOG, listener, snapshot

pytestmark = [pytest.mark.timeout(180)]


def require(command: str) -> str:
    """Where the machine has it. Not a skip: there is no way to get it here that CI could be told of."""
    lacking = needs.missing(command)
    if lacking is not None:
        pytest.xfail(f"not tried on a real one: {lacking.why}")
    return str(needs.which(command))


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Server:
    """One that runs for the test, as an ordinary user where root is not welcome."""

    def __init__(self, argv: list[str], port: int, environment: dict[str, str], directory: Path) -> None:
        self.port = port
        self._log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            argv,
            cwd=directory,
            env={**os.environ, **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, (directory / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, (directory / "log").read_text()[-2000:]
                time.sleep(0.2)

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


async def look(component: str, port: int, monkeypatch: pytest.MonkeyPatch) -> Inspection:
    known = CATALOG.components[component]
    specs = known.health or (known.tutor.health if known.tutor else ())
    spec = specs[0].model_copy(update={"port": port})
    monkeypatch.setitem(CATALOG.components, component, known.model_copy(update={"health": (spec,)}))
    transport = LocalTransport(Host(name="h", transport="local"))
    await transport.connect()
    try:
        host = snapshot(component, [], [listener(port, component)])
        return await inspect_component(transport, host, CATALOG, component, sudo=False)
    finally:
        await transport.close()


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Server]:
    program, port = require("mongod"), free_port()
    (tmp_path / "db").mkdir()
    argv = [program, "--dbpath", str(tmp_path / "db"), "--port", str(port), "--bind_ip", "127.0.0.1"]
    server = Server([*argv, "--replSet", "edx"], port, {}, tmp_path)
    yield server
    server.close()


async def test_a_real_mongod(mongod: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import pymongo

    def fill() -> str:
        with pymongo.MongoClient[dict[str, Any]]("127.0.0.1", mongod.port, directConnection=True) as client:
            client.admin.command({"replSetInitiate": {}})
            deadline = time.monotonic() + 60
            while not client.admin.command("hello").get("isWritablePrimary"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            for name in ("modulestore.structures", "modulestore.definitions", "fs.files"):
                client.edxapp[name].insert_one({"a": 1})
            return str(client.server_info()["version"])

    version = await asyncio.to_thread(fill)
    found = await look("mongodb", mongod.port, monkeypatch)
    assert found.missing == ()
    assert found.section("server").fact("version") == version
    assert found.section("server").fact("pid") == mongod.process.pid
    rows = {r["database"]: r["collections"] for r in found.section("databases").table("databases").rows}
    assert rows["edxapp"] == 3
    assert found.section("replica_set").fact("name") == "edx"
    (member,) = found.section("replica_set").table("members").rows
    assert (member["state"], member["asked"], member["healthy"]) == ("PRIMARY", True, True)
    assert isinstance(found.section("replica_set").fact("oplog_window_seconds"), int)
    assert int(str(found.section("connections").fact("current"))) >= 1


@pytest.fixture
def elastic(tmp_path: Path) -> Iterator[Server]:
    program, port = require("elasticsearch"), free_port()
    config = tmp_path / "config"
    shutil.copytree(Path(program).resolve().parents[1] / "config", config)
    (config / "elasticsearch.yml").write_text(
        f"http.port: {port}\ndiscovery.type: single-node\npath.data: {tmp_path}/data\npath.logs: {tmp_path}\n"
    )
    environment = {"ES_PATH_CONF": str(config), "ES_JAVA_OPTS": "-Xms256m -Xmx256m"}
    server = Server([program], port, environment, tmp_path)
    yield server
    server.close()


async def test_a_real_elasticsearch(elastic: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{elastic.port}", timeout=60) as client:
        document = json.dumps({"a": 1})
        headers = {"Content-Type": "application/json"}
        made = await client.put("/courseware_index/_doc/1?refresh=true", content=document, headers=headers)
        made.raise_for_status()
        await client.put("/courseware_index/_settings", json={"index.blocks.read_only_allow_delete": True})
        version = (await client.get("/")).json()["version"]["number"]
    found = await look("elasticsearch", elastic.port, monkeypatch)
    assert found.missing == ()
    assert found.section("server").fact("version") == version
    (row,) = [r for r in found.section("indices").table("indices").rows if r["index"] == "courseware_index"]
    assert row["documents"] == 1
    assert any(f.text.startswith("courseware_index refuses writes") for f in found.findings)
    (node,) = found.section("nodes").table("nodes").rows
    assert 0 <= float(str(node["used_percent"])) <= 100


@pytest.fixture
def meili(tmp_path: Path) -> Iterator[Server]:
    program, port = require("meilisearch"), free_port()
    argv = [program, "--http-addr", f"127.0.0.1:{port}", "--db-path", str(tmp_path / "db"), "--no-analytics"]
    server = Server(argv, port, {}, tmp_path)
    yield server
    server.close()


async def test_a_real_meilisearch(meili: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{meili.port}", timeout=60) as client:
        task = (await client.post("/indexes/content/documents", json=[{"id": 1}])).json()["taskUid"]
        deadline = time.monotonic() + 60
        while (await client.get(f"/tasks/{task}")).json()["status"] != "succeeded":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        version = (await client.get("/version")).json()["pkgVersion"]
    found = await look("meilisearch", meili.port, monkeypatch)
    assert found.missing == ()
    assert found.section("version").fact("version") == version
    (row,) = found.section("indices").table("indices").rows
    assert (row["index"], row["documents"]) == ("content", 1)
