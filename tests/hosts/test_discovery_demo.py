"""Discovery, inspection and drift of the embedded demo cluster: what runs is found, nothing disagrees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from edxconsole.inspect.edxapp_files import VARIANTS
from edxconsole.inventory.loader import load_inventory
from tests.support.demo import REPOSITORY, Demo, demo, environment, eventually, runtime_directory

pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("demo-discovered"), pytest.mark.timeout(240)]


STORES = ("mysql", "mongodb", "memcached", "redis")


@pytest.fixture(scope="module")
def running() -> Iterator[Demo]:
    runtime = runtime_directory()
    with demo(runtime) as one:
        yield one
    shutil.rmtree(runtime)


@pytest.fixture(scope="module")
def discovered(running: Demo) -> dict[str, Any]:
    return told(running, "discover")


def told(running: Demo, *words: str) -> dict[str, Any]:
    """What a command of the console answers of the demo in JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "edxconsole", "--hosts", str(running.hosts), *words, "--json"],
        capture_output=True, text=True, timeout=100, env=environment(running.runtime), cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    body: dict[str, Any] = json.loads(done.stdout)
    return body


def test_what_the_demo_runs_is_found_and_nothing_else(running: Demo, discovered: dict[str, Any]) -> None:
    inventory = load_inventory(running.hosts)
    found = {h["name"]: {r["component"] for r in h["running"]} for h in discovered["hosts"]}
    assert found == {name: inventory.expected_on(name) for name in inventory.hosts}
    assert (discovered["disagreements"], discovered["unknowns"]) == ([], [])


def test_every_endpoint_that_a_file_names_runs(discovered: dict[str, Any]) -> None:
    edges = {(e["host"], e["component"], e["endpoint"], e["target"]): e for e in discovered["edges"]}
    assert {e["verdict"] for e in edges.values()} == {"runs"}
    ports = {"mysql": 3306, "mongodb": 27017, "memcached": 11211, "redis": 6379}
    stores = {(app, c, f"data:{ports[c]}", "data") for app in ("app1", "app2") for c in STORES}
    xqueue = {(app, "xqueue", "app1:8040", "app1") for app in ("app1", "app2")}
    rabbit = ("app1", "rabbitmq", "data:5672", "data")
    assert {key for key in edges if key[0] != "web"} == {*stores, *xqueue, rabbit}
    for key in stores:
        files = {source["path"].rpartition("/")[2].partition(".")[0] for source in edges[key]["sources"]}
        assert files >= {"lms", "cms"}, key


def test_the_files_that_an_app_reads_are_in_force_and_what_they_name_answers(running: Demo) -> None:
    body = told(running, "inspect", "lms@app*")
    assert [(i["host"], i["findings"], i["missing"]) for i in body["inspections"]] == [
        ("app1", [], []),
        ("app2", [], []),
    ]
    for inspection in body["inspections"]:
        tables = next(s["tables"] for s in inspection["sections"] if s["name"] == "configuration")
        files = [(row["file"], row["read"], row["mode"]) for row in tables["files"]["rows"]]
        assert files == [(path, True, "640") for path in VARIANTS["lms"].old]
        endpoints = {row["component"]: row["answer"] for row in tables["endpoints"]["rows"]}
        assert endpoints == dict.fromkeys((*STORES, "xqueue"), "answers")


def test_its_nginx_and_its_mysql_open_up_without_root(running: Demo) -> None:
    (nginx,) = told(running, "inspect", "nginx")["inspections"]
    assert (nginx["missing"], nginx["findings"]) == ([], [])
    upstreams = next(s["tables"] for s in nginx["sections"] if s["name"] == "upstreams")
    assert {row["state"] for row in upstreams["members"]["rows"]} == {"answers"}
    (mysql,) = told(running, "inspect", "mysql")["inspections"]
    assert mysql["missing"] == []
    assert {"edxapp", "xqueue"} <= {row["database"] for row in databases_of(mysql)}
    checks = {c["check"]: c["state"] for c in told(running, "health", "mysql")["checks"]}
    assert set(checks.values()) == {"up"}, checks


def databases_of(inspection: dict[str, Any]) -> list[dict[str, Any]]:
    tables = (table for section in inspection["sections"] for table in section["tables"].items())
    return next(table["rows"] for name, table in tables if name == "databases")


def test_no_secret_of_the_demo_is_told(running: Demo) -> None:
    auth = json.loads(running.ssh("app1", "cat /edx/app/edxapp/lms.auth.json"))
    shown = json.dumps([told(running, "inspect", "lms@app1"), told(running, "discover")])
    assert auth["DATABASES"]["default"]["USER"] in shown
    for secret in (
        auth["SECRET_KEY"],
        auth["DATABASES"]["default"]["PASSWORD"],
        auth["XQUEUE_INTERFACE"]["django_auth"]["password"],
    ):
        assert len(secret) > 20
        assert secret not in shown


@pytest.mark.parametrize("component", ["lms", "cms"])
def test_both_app_hosts_have_the_same(running: Demo, component: str) -> None:
    (role,) = told(running, "drift", component)["roles"]
    assert (role["hosts"], role["differences"], role["unknown"]) == (["app1", "app2"], [], [])
    assert role["same"] > 100


def test_the_secrets_that_two_must_share_are_the_same(running: Demo) -> None:
    shared = told(running, "drift", "lms", "cms", "xqueue")["shared_secrets"]
    assert len(shared) == 2
    assert all(secret["same"] is True for secret in shared), shared


def test_the_app_talks_to_whom_its_file_names(running: Demo) -> None:
    """A file names another port: Studio asks there once started again, and its heartbeat says so."""
    path = "/edx/app/edxapp/cms.auth.json"
    asked = (
        "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8010); "
        "c.request('GET', '/heartbeat'); print(c.getresponse().read().decode())"
    )

    def heartbeat() -> dict[str, Any]:
        answer = running.ssh("app2", f'/edx/app/edxapp/venvs/edxapp/bin/python -c "{asked}" || echo null')
        found: dict[str, Any] = json.loads(answer) or {}
        return found

    restart = "/edx/bin/supervisorctl restart edxapp:cms"
    running.ssh("app2", f'cp -p {path} {path}.own; sed -i \'s/"3306"/"3307"/\' {path}; {restart}')
    try:
        eventually(lambda: not heartbeat().get("sql", {"status": True})["status"], tell=heartbeat)
        told_now = heartbeat()
    finally:
        running.ssh("app2", f"mv {path}.own {path}; {restart}")
    assert "2003" in told_now["sql"]["message"]
    assert told_now["modulestore"]["status"] is True
    eventually(lambda: heartbeat().get("sql", {}).get("status"), tell=heartbeat)
