"""Inspections inside the containers of a Tutor project, on a real dockerd.

Redis and the Celery worker in them are real ones of this machine; MongoDB, Meilisearch, MySQL and the LMS and
Studio themselves are stand-ins. Their files are those that Tutor renders (tests/unit/inspect/golden), mounted
as its compose file does.
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

from edxconsole.inspect.edxapp_endpoints import NO_SUCH, STOPPED, UNRESOLVED
from tests.lab.cluster import ROLES
from tests.lab.console import Console
from tests.lab.dockerd import Dockerd
from tests.lab.host import LabHost
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
GOLDEN = Path(__file__).parents[1] / "unit" / "inspect" / "golden"
ROOT = "/home/tutor"
RENDERED = {
    f"env/apps/openedx/{place}": GOLDEN / f"tutor-22.0.3-{name}"
    for variant in ("lms", "cms")
    for place, name in (
        (f"config/{variant}.env.yml", f"{variant}.env.yml"),
        (f"settings/{variant}/production.py", f"{variant}.production.txt"),
    )
}
LMS_YML = f"{ROOT}/env/apps/openedx/config/lms.env.yml"
LMS_PY = f"{ROOT}/env/apps/openedx/settings/lms/production.py"
OF_GUNICORN = {"settings": "it runs in a container, whose processes are not looked into"}
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
    render(host)
    docker.run("redis", "/usr/bin/redis-server --port 6379 --protected-mode no --save ''", *MOUNTS)
    redis = address(docker, "redis")
    docker.run("mongodb", f"{PYTHON} /opt/edxapp/mongod.py 0.0.0.0 27017", *MOUNTS)
    docker.run("meilisearch", "httpd -f -p 7700 -h /opt/edxapp", *MOUNTS)
    docker.run("mysql", "httpd -f -p 3306 -h /tmp")
    for variant in ("lms", "cms"):
        docker.run(variant, "serve", *as_tutor(variant), "--workdir=/openedx/edx-platform")
    where = [*MOUNTS, f"--env=BROKER=redis://{redis}:6379/0", "--workdir=/opt/edxapp"]
    docker.run("lms-worker", WORKER, *where, *as_tutor("lms", module=False))
    host.sh("echo 'MEILISEARCH_MASTER_KEY: hunter3' >/home/tutor/config.yml")
    deadline = time.monotonic() + 120
    while " ready." not in host.sh("docker logs tutor_local-lms-worker-1 2>&1", check=False):
        assert time.monotonic() < deadline, host.sh("docker logs tutor_local-lms-worker-1 2>&1", check=False)
        time.sleep(0.3)
    yield docker
    docker.close()


def render(host: LabHost) -> None:
    """Tutor's files, of a user who lets nobody else look; with a secret to look for."""
    host.sh(f"mkdir -p {ROOT}; chmod 700 {ROOT}")
    for place, source in RENDERED.items():
        text = source.read_text().replace("VL8sAPeTt3uxW8SwLHi8XQwx", "hunter2")
        host.sh(f"mkdir -p {ROOT}/{place.rpartition('/')[0]}; cat >{ROOT}/{place} <<'END'\n{text}\nEND")


def as_tutor(variant: str, *, module: bool = True) -> list[str]:
    """What Tutor's image and compose file say of files (tutor 22.0.3)."""
    apps, platform = f"{ROOT}/env/apps/openedx", "/openedx/edx-platform"
    told = {f"{name.upper()}_CFG": f"/openedx/config/{name}.env.yml" for name in ("lms", "cms")}
    told["SERVICE_VARIANT"] = variant
    if module:  # Celery would import it.
        told["DJANGO_SETTINGS_MODULE"] = f"{variant}.envs.tutor.production"
    mounts = {f"{apps}/config": "/openedx/config"}
    mounts |= {f"{apps}/settings/{name}": f"{platform}/{name}/envs/tutor" for name in ("lms", "cms")}
    environment = [f"--env={name}={value}" for name, value in told.items()]
    return [*environment, *(f"--volume={source}:{place}:ro" for source, place in mounts.items())]


def address(docker: Dockerd, service: str) -> str:
    return str(docker.inspect(f"tutor_local-{service}-1")["NetworkSettings"]["IPAddress"])


def look(
    tutor: Dockerd, lab: Lab, tmp_path: Path, component: str, **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An inspection, and its sections by name."""
    said = Console(lab.hosts_yaml(lab.inventory([tutor.host], **changes)), tmp_path).run(
        "inspect", component, "--json", status=None
    )
    assert "hunter" not in said
    (found,) = json.loads(said)["inspections"]
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

    section = parts["configuration"]
    assert section["facts"]["told_by"]["value"] == (
        "LMS_CFG of tutor_local:lms-worker and Tutor's usual settings module; mounts (Docker)"
    )
    assert {r["file"]: r["read"] for r in section["tables"]["files"]["rows"]} == {LMS_YML: True, LMS_PY: True}


def test_the_configuration_of_the_lms(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    found, parts = look(tutor, module_lab, tmp_path, "lms")
    assert {m["what"]: m["cause"] for m in found["missing"]} == OF_GUNICORN
    assert found["findings"] == []
    section = parts["configuration"]
    assert section["facts"]["told_by"]["value"] == (
        "LMS_CFG of tutor_local:lms and lms.envs.tutor.production; mounts (Docker)"
    )
    files = {r["file"]: r for r in section["tables"]["files"]["rows"]}
    assert {path: row["read"] for path, row in files.items()} == {LMS_YML: True, LMS_PY: True}
    size, changed, mode = tutor.host.sh(f"stat -c '%s %Y %a' {LMS_PY}").split()
    row = files[LMS_PY]
    assert (row["size_bytes"], row["changed_at"], row["mode"]) == (int(size), int(changed), mode)
    rows = {(r["component"], r["address"]): r for r in section["tables"]["endpoints"]["rows"]}
    for service, port in (("mysql", 3306), ("redis", 6379), ("mongodb", 27017), ("meilisearch", 7700)):
        asked = rows[service, f"{service}:{port}"]
        assert (asked["answer"], asked["asked_at"]) == ("answers", f"{address(tutor, service)}:{port}")
    assert rows["smtp", "smtp:8025"]["answer"] in (NO_SUCH, UNRESOLVED)
    assert rows["smtp", "smtp:8025"]["asked_at"] is None
    settings = {r["key"]: (r["value"], r["file"]) for r in section["tables"]["settings"]["rows"]}
    assert settings["DATABASES.default.HOST"] == ("mysql", LMS_YML)
    assert settings["DATABASES.default.PASSWORD"] == ("***", LMS_YML)
    assert settings["CONTENTSTORE.DOC_STORE_CONFIG.host"] == ("mongodb", LMS_PY)
    assert settings["JWT_AUTH.JWT_SECRET_KEY"] == ("***", LMS_PY)


def test_a_file_that_is_newer_than_its_container(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    tutor.host.sh(f"touch -d '+1 hour' {LMS_YML}")
    try:
        found, _ = look(tutor, module_lab, tmp_path, "lms")
        (finding,) = found["findings"]
        assert finding["text"].startswith(f"{LMS_YML} was changed 0 min ago, after its processes had read it")
    finally:
        tutor.host.sh(f"touch -d '-1 hour' {LMS_YML}")
    found, _ = look(tutor, module_lab, tmp_path, "lms")
    assert found["findings"] == []


def test_a_directory_that_was_made_anew(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    """As by `tutor config save --clean-env`: a running container has the old one."""
    tutor.host.sh(f"mv {ROOT}/env {ROOT}/env.old")
    render(tutor.host)
    try:
        found, _ = look(tutor, module_lab, tmp_path, "cms")
        replaced = [f["text"] for f in found["findings"] if " has another " in f["text"]]
        assert [text.partition(":cms ")[2].partition(":")[0] for text in replaced] == [
            "has another /openedx/config/cms.env.yml",
            "has another /openedx/edx-platform/cms/envs/tutor/production.py",
        ]
        tutor.host.sh("docker restart -t 0 tutor_local-cms-1")
        found, _ = look(tutor, module_lab, tmp_path, "cms")
        assert found["findings"] == []
    finally:
        tutor.host.sh(
            f"rm -r {ROOT}/env; mv {ROOT}/env.old {ROOT}/env; docker restart -t 0 tutor_local-cms-1"
        )


def test_without_rights_it_says_what_is_missing(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    """The login is in the group docker, and neither Tutor's user nor one that may use sudo."""
    tutor.host.sh("getent group docker || groupadd docker; usermod -aG docker ops")
    tutor.host.sh("chgrp docker /var/run/docker.sock; chmod 660 /var/run/docker.sock")
    try:
        found, _ = look(tutor, module_lab, tmp_path, "lms", become=None)
        missing = {m["what"]: m for m in found["missing"]}
        assert missing[f"settings of {LMS_YML}"]["cause"] == f"ops may not read {LMS_YML}"
        assert (
            f"NOPASSWD: /usr/bin/head -c 262145 -- {LMS_YML}" in missing[f"settings of {LMS_YML}"]["remedy"]
        )
        assert "NOPASSWD: /usr/bin/stat" in missing[f"when {LMS_YML} was changed"]["remedy"]
        assert found["findings"] == []
    finally:
        tutor.host.sh("gpasswd -d ops docker")


def test_a_service_that_is_needed_and_stopped(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    tutor.host.sh("docker stop -t 0 tutor_local-mysql-1")
    try:
        found, _ = look(tutor, module_lab, tmp_path, "cms")
        assert [f["text"] for f in found["findings"]] == [
            f"mysql at mysql:3306, named by DATABASES.default.HOST: {STOPPED}"
        ]
    finally:
        tutor.host.sh("docker start tutor_local-mysql-1")


def test_the_secrets_that_the_lms_and_studio_share(tutor: Dockerd, module_lab: Lab, tmp_path: Path) -> None:
    console = Console(module_lab.hosts_yaml(module_lab.inventory([tutor.host])), tmp_path)
    said = console.run("drift", "--json", status=None)
    assert "hunter" not in said
    (shared,) = [s for s in json.loads(said)["shared_secrets"] if "JWT_SECRET_KEY" in s["text"]]
    assert shared["same"] is True


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
