"""restart, reload, start and stop as commands: what they print, ask, refuse and do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edxconsole.inventory.model import Environment
from tests.lab.cluster import LabCluster
from tests.lab.console import Console

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture
def console(cluster: LabCluster, tmp_path: Path) -> Console:
    return Console(cluster.lab.hosts_yaml(cluster.inventory()), tmp_path)


@pytest.fixture
def production(cluster: LabCluster, tmp_path: Path) -> Console:
    careful = replace(cluster.inventory(), environment=Environment.PRODUCTION)
    return Console(cluster.lab.hosts_yaml(careful), tmp_path)


@pytest.fixture(autouse=True)
def same_process_after(cluster: LabCluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests named "nothing" prove it: xqueue of app1 is the same process after them."""
    before = pid(cluster)
    yield
    if "nothing" in request.node.name:
        assert pid(cluster) == before


def pid(cluster: LabCluster) -> str:
    return cluster.app1.sh("/edx/bin/supervisorctl pid xqueue").strip()


def journal(console: Console) -> list[str]:
    return [json.loads(line)["ev"] for line in console.run("journal", "--json").splitlines()]


def test_plan_shows_everything_and_does_nothing(console: Console, cluster: LabCluster) -> None:
    text = console.run("restart", "xqueue@app1", "--plan")
    assert "1. xqueue on app1" in text
    assert f"pid {pid(cluster)} (" in text
    assert "stopProcess(xqueue, wait=False), wait until stopped, startProcess(xqueue, wait=False)" in text
    assert "L1 its ports are open and held by it" in text
    assert journal(console) == []


def test_without_a_terminal_nothing_is_done(console: Console) -> None:
    console.run("restart", "xqueue@app1", status=4)
    assert journal(console) == []


def test_yes_without_a_reason_does_nothing(console: Console) -> None:
    console.run("restart", "xqueue@app1", "--yes", status=2)


def test_a_selector_that_names_nothing_is_usage(console: Console) -> None:
    console.run("restart", "mysql@app1", "--plan", status=2)
    console.run("restart", "lms@nowhere", "--plan", status=2)


def test_what_can_not_reload_does_nothing_and_says_why(console: Console) -> None:
    console.run("reload", "xqueue@app1", "--yes", "--reason", "test", status=2)


def test_yes_with_a_reason_restarts(console: Console, cluster: LabCluster) -> None:
    before = pid(cluster)
    text = console.run("restart", "xqueue@app1", "--yes", "--reason", "deploy 7")
    assert pid(cluster) != before
    assert "✓ L0" in text
    assert "✓ L1" in text
    assert "✓ L2" in text
    assert "act.begin" in journal(console)
    assert "the chain is whole" in console.run("journal", "--verify")
    assert '"reason": "deploy 7"' in console.run("journal", "--json")


def test_json_events_are_one_document_a_line(console: Console) -> None:
    lines = console.run("restart", "xqueue@app1", "--yes", "--reason", "x", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    assert {e["schema"] for e in events} == {"edxconsole/1"}
    assert events[0]["kind"] == "plan"
    assert events[-1]["state"] == "done"
    assert [e["gate"]["passed"] for e in events if e.get("gate")][-1] is True


def test_production_wants_the_phrase_and_does_nothing_for_another(production: Console) -> None:
    status, text = production.typed("restart", "xqueue@app1", answers={"to go on": "yes"})
    assert status == 4
    assert "This is production. Type `restart xqueue app1` to go on" in text
    assert "nothing was changed" in text


def test_production_acts_for_the_phrase(production: Console, cluster: LabCluster) -> None:
    before = pid(cluster)
    status, text = production.typed("restart", "xqueue@app1", answers={"to go on": "restart xqueue app1"})
    assert status == 0, text
    assert pid(cluster) != before
