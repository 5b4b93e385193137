"""Inspections inside the containers of a Tutor project, on a real dockerd.

Redis and the Celery worker in them are real ones of this machine; MongoDB and Meilisearch are stand-ins.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import ROLES
from tests.lab.console import Console
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox", "redis-server"),
    pytest.mark.timeout(300),
]

PYTHONS = dict.fromkeys((sys.prefix, os.path.realpath(sys.prefix), sys.base_prefix))
SHARED = ("/usr", "/lib", "/lib64", *PYTHONS, "/opt/edxapp")
"""of the host, so that a container has its Redis and Celery"""
MOUNTS = [f"--volume={path}:{path}:ro" for path in SHARED]
PYTHON = f"{sys.prefix}/bin/python"
QUEUES = "edx.lms.core.default,edx.lms.core.high,edx.lms.core.high_mem"
WORKER = (
    f"{PYTHON} {sys.prefix}/bin/celery --app=lms.celery worker --loglevel=info --concurrency=2 "
    f"--hostname=edx.lms.core.default.%h --queues={QUEUES} --max-tasks-per-child=100 "
    "--prefetch-multiplier=1 --without-gossip --without-mingle"
)
OF_EDXAPP = ("settings of ", "configuration", "its files", "which files")
PAGES = {
    "health": {"status": "available"},
    "version": {"pkgVersion": "1.36.0-stand-in"},
    "stats": {"databaseSize": 5, "indexes": {"tutor_courseware_content": {"numberOfDocuments": 3}}},
    "tasks": {"results": [], "total": 0},
}


@pytest.fixture(scope="module")
def tutor(module_lab: Lab) -> Iterator[Dockerd]:
    """The project's containers, and the files that Tutor would have written beside them."""
    host = module_lab.host("tutor", disk_mib=1024)
    docker = Dockerd(host)
    docker.prepare()
    host.sh(f"cp -r {ROLES}/edxapp /opt/edxapp; cp {ROLES}/mongod.py /opt/edxapp/; chmod -R a+rX /opt/edxapp")
    for name, page in PAGES.items():
        host.sh(f"cat >/opt/edxapp/{name} <<'PAGE'\n{json.dumps(page)}\nPAGE")
    docker.run("redis", "/usr/bin/redis-server --port 6379 --protected-mode no --save ''", *MOUNTS)
    redis = address(docker, "redis")
    docker.run("mongodb", f"{PYTHON} /opt/edxapp/mongod.py 0.0.0.0 27017", *MOUNTS)
    docker.run("meilisearch", "httpd -f -p 7700 -h /opt/edxapp", *MOUNTS)
    where = [*MOUNTS, f"--env=BROKER=redis://{redis}:6379/0", "--workdir=/opt/edxapp"]
    docker.run("lms-worker", WORKER, *where)
    settings = {"CELERY_BROKER_TRANSPORT": "redis", "CELERY_BROKER_HOSTNAME": "redis:6379", "X": "hunter2"}
    config = "/home/tutor/env/apps/openedx/config"
    host.sh(f"mkdir -p {config}; chmod 700 /home/tutor")
    host.sh(f"echo '{json.dumps(settings)}' | tee {config}/lms.env.yml {config}/cms.env.yml")
    host.sh("echo 'MEILISEARCH_MASTER_KEY: hunter3' >/home/tutor/config.yml")
    deadline = time.monotonic() + 120
    while " ready." not in host.sh("docker logs tutor_local-lms-worker-1 2>&1", check=False):
        assert time.monotonic() < deadline, host.sh("docker logs tutor_local-lms-worker-1 2>&1", check=False)
        time.sleep(0.3)
    yield docker
    docker.close()


def address(docker: Dockerd, service: str) -> str:
    return str(docker.inspect(f"tutor_local-{service}-1")["NetworkSettings"]["IPAddress"])


def look(tutor: Dockerd, lab: Lab, tmp_path: Path, component: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An inspection, and its sections by name."""
    said = Console(lab.hosts_yaml(lab.inventory([tutor.host])), tmp_path).run(
        "inspect", component, "--json", status=None
    )
    assert "hunter" not in said
    (found,) = json.loads(said)["inspections"]
    # What edxapp's inspector, which runs as well, does not see is of its own tests.
    found["missing"] = [m for m in found["missing"] if not m["what"].startswith(OF_EDXAPP)]
    return found, {s["name"]: s for s in found["sections"]}


def test_the_workers_of_tutor(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    found, parts = look(tutor, module_lab, tmp_path, "edxapp_worker")
    assert found["missing"] == []
    assert found["findings"] == []
    told = tutor.inspect("tutor_local-lms-worker-1")
    (worker,) = parts["workers"]["tables"]["workers"]["rows"]
    node = f"celery@edx.lms.core.default.{told['Config']['Hostname']}"
    assert (worker["pid"], worker["node"], worker["pool"]) == (told["State"]["Pid"], node, 2)
    (answer,) = parts["nodes"]["tables"]["nodes"]["rows"]
    assert (answer["node"], answer["here"], answer["active"]) == (node, True, 0)
    (broker,) = parts["brokers"]["tables"]["brokers"]["rows"]
    assert broker["broker"] == f"redis at {address(tutor, 'redis')}:6379, database 0"
    waiting = {r["queue"]: r["waiting"] for r in parts["queues"]["tables"]["queues"]["rows"]}
    assert waiting == dict.fromkeys(QUEUES.split(","), 0)


def test_the_stores_of_tutor(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    found, parts = look(tutor, module_lab, tmp_path, "mongodb")
    assert parts["server"]["facts"]["version"]["value"] == "4.0.0-stand-in"
    assert [m["what"] for m in found["missing"]] == ["databases"]
    found, parts = look(tutor, module_lab, tmp_path, "meilisearch")
    assert found["missing"] == []
    assert parts["version"]["facts"]["version"]["value"] == "1.36.0-stand-in"
    (row,) = parts["indices"]["tables"]["indices"]["rows"]
    assert (row["index"], row["documents"]) == ("tutor_courseware_content", 3)


def test_a_container_that_does_not_run(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    tutor.host.sh("docker stop -t 0 tutor_local-meilisearch-1")
    try:
        found, _ = look(tutor, module_lab, tmp_path, "meilisearch")
        assert [m["cause"] for m in found["missing"]] == ["its container has no address, or does not run"]
        assert found["findings"] == []
    finally:
        tutor.host.sh("docker start tutor_local-meilisearch-1")
