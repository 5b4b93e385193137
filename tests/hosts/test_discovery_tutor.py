"""Discovery of a Tutor host: a real dockerd, the files that tutor 22.0.3 rendered, and what runs of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.console import Console
from tests.lab.dockerd import Dockerd
from tests.lab.lab import Lab

pytestmark = [
    pytest.mark.hosts,
    pytest.mark.root,
    pytest.mark.needs("dockerd", "busybox"),
    pytest.mark.timeout(180),
]

GOLDEN = Path(__file__).parents[1] / "unit" / "discovery" / "golden" / "tutor-22.0.3"
ROOT = "/home/ops/.local/share/tutor"
SERVICES = ("caddy", "lms", "cms", "lms-worker", "cms-worker", "mysql", "mongodb", "meilisearch", "smtp")
"""all of Tutor's but redis, which has no container, and permissions, which has ended"""
COMPONENTS = {"caddy", "lms", "cms", "edxapp_worker", "mysql", "mongodb", "meilisearch", "smtp"}


def secrets() -> set[str]:
    """Everything secret in the recorded files."""
    text = "\n".join(path.read_text() for path in GOLDEN.rglob("*.yml"))
    found = re.findall(r'(?:PASSWORD|_KEY|_SECRET|SECRET_KEY)"?: "?([A-Za-z0-9]{8,})', text)
    return {value for value in found if value.lower() != "edx"}


@pytest.fixture
def tutor(lab: Lab) -> Iterator[Dockerd]:
    host = lab.host("tutor")
    host.sh("usermod -aG docker ops")
    docker = Dockerd(host)
    docker.prepare()
    for path in sorted(p for p in GOLDEN.rglob("*") if p.is_file()):
        there = f"{ROOT}/{path.relative_to(GOLDEN)}"
        host.sh(f"mkdir -p $(dirname {there}); cat >{there} <<'FILE'\n{path.read_text()}\nFILE")
    host.sh(f"find {ROOT} -type f -exec chmod 600 {{}} +")
    host.sh("chown -R ops: /home/ops/.local")
    labels = (
        f"--label=com.docker.compose.project.working_dir={ROOT}/env/local",
        f"--label=com.docker.compose.project.config_files={ROOT}/env/local/docker-compose.yml,"
        f"{ROOT}/env/local/docker-compose.prod.yml",
    )
    for service in SERVICES:
        docker.run(service, "sleep 1000", "--restart=unless-stopped", *labels)
    docker.run("permissions", "sh -c 'exit 0'", *labels)
    docker.run("lms-job", "sleep 1000", *labels, one_off=True)
    yield docker
    docker.close()


def discover(console: Console) -> dict[str, Any]:
    """What is found once every container is seen to be as it is."""
    deadline = time.monotonic() + 30
    while True:
        body = console.json("discover", status=None)
        (host,) = body["hosts"]
        if {r["component"] for r in host["running"]} >= COMPONENTS or time.monotonic() > deadline:
            return body
        time.sleep(0.2)


def test_a_tutor_host_and_what_its_files_say(tutor: Dockerd, lab: Lab, tmp_path: Path) -> None:
    console = Console(lab.hosts_yaml(), tmp_path)
    body = discover(console)
    (host,) = body["hosts"]
    assert len(host["installs"]) == 1, host["installs"]
    (install,) = host["installs"]
    assert (install["kind"], install["project"], install["root"]) == ("tutor", "tutor_local", ROOT)
    assert install["release"] == "Verawood (Tutor 22.0.3)"
    assert {r["component"] for r in host["running"]} == COMPONENTS
    assert all(r["by"] == ["docker tutor_local"] for r in host["running"])
    verdicts = {e["endpoint"]: (e["component"], e["verdict"]) for e in body["edges"]}
    assert verdicts["mysql:3306"] == ("mysql", "runs")
    assert verdicts["redis:6379"] == ("redis", "amiss")
    assert verdicts["smtp:8025"] == ("smtp", "runs")
    assert {verdicts[service] for service in SERVICES} == {(c, "runs") for c in COMPONENTS}
    assert not any("job" in e["endpoint"] or "permissions" in e["endpoint"] for e in body["edges"])
    said = [s for s in body["disagreements"] if "Redis redis:6379" in s]
    assert len(said) == 1
    assert said[0].endswith("it has no container.")
    assert len(body["disagreements"]) == 2, body["disagreements"]
    shown = json.dumps(body) + console.run("discover", status=1)
    assert len(secrets()) > 5
    assert not [secret for secret in secrets() if secret in shown]
