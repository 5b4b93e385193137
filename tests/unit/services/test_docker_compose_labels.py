"""What docker compose 1 and 2 (before and after 2.21) write about Tutor's containers, read alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edxconsole.services.docker_projects import projects_of
from edxconsole.services.docker_units import by_name, place_of, to_container

RECORDED: Any = json.loads((Path(__file__).parent / "docker_api" / "compose.json").read_text())
SERVICES = {
    "caddy", "cms", "cms-worker", "lms", "lms-worker", "meilisearch", "mongodb", "mysql", "permissions",
    "redis", "smtp",
}  # fmt: skip


@pytest.mark.parametrize(
    ("version", "name", "files"),
    [
        ("1.29.2", "tutor_local_lms_1", 0),  # relative to wherever compose was called
        ("2.26.1", "tutor_local-lms-1", 2),
        ("2.40.3", "tutor_local-lms-1", 2),
    ],
)
def test_containers_are_known_by_their_labels(version: str, name: str, files: int) -> None:
    told = RECORDED[version]
    found = by_name([c for c in map(to_container, told["inspect"]) if c is not None])
    assert set(found) == {f"tutor_local:{service}" for service in SERVICES}
    assert found["tutor_local:lms"].name == name
    assert found["tutor_local:permissions"].unit.word == "exited (0)"
    (job,) = [e for e in told["list"] if place_of(e["Labels"]) is None]
    assert "lms" in job["Names"][0]
    (project,) = projects_of(told["list"])
    assert (project.name, project.tutor_root) == ("tutor_local", "/home/ops/tutor")
    assert len(project.config_files) == files
    assert set(project.images) == SERVICES
    assert project.images["lms"].endswith("overhangio/openedx:22.0.3")
