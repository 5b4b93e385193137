"""Discovery of the embedded demo cluster: what it says it runs is what is found, and nothing disagrees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from edxconsole.inventory.loader import load_inventory
from tests.support.demo import REPOSITORY, demo, environment, runtime_directory

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(240)]


def test_what_the_demo_runs_is_found_and_nothing_else() -> None:
    runtime = runtime_directory()
    with demo(runtime) as running:
        done = subprocess.run(
            [sys.executable, "-m", "edxconsole", "--hosts", str(running.hosts), "discover", "--json"],
            capture_output=True, text=True, timeout=100, env=environment(runtime), cwd=REPOSITORY,
        )  # fmt: skip
        inventory = load_inventory(running.hosts)
    shutil.rmtree(runtime)
    assert done.returncode == 0, done.stderr + done.stdout
    body = json.loads(done.stdout)
    found = {h["name"]: {r["component"] for r in h["running"]} for h in body["hosts"]}
    assert found == {name: inventory.expected_on(name) for name in inventory.hosts}
    assert body["disagreements"] == []
    assert {e["verdict"] for e in body["edges"] if e["host"] == "web"} <= {"runs"}
