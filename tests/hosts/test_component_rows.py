"""Every component of the seed has its row on the Component screen, and its row is true: compared with
the facts read by hand on the hosts, and so is `edxconsole status --json`.
"""

from __future__ import annotations

import asyncio
import re
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from screens.inspect import InspectScreen
from tests.lab import hand, shown
from tests.lab.cluster import LabCluster
from tests.lab.console import Console
from tests.lab.hand import Facts
from widgets.inspection_view import InspectionView
from widgets.instance_table import InstanceTable

pytestmark = [pytest.mark.hosts, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

SEED = {
    "nginx", "lms", "cms", "xqueue", "xqueue_consumer", "edxapp_worker", "supervisor",
    "rabbitmq", "memcached", "mysql", "redis", "mongodb",
}  # fmt: skip
"""what of it can run here; MongoDB is the lab's stand-in"""
SETTLED = 150.0
"""seconds within which every check was made once, and what still starts (RabbitMQ's plugins) has started"""


async def test_every_row_of_the_seed_is_what_is_read_by_hand(
    full_cluster: LabCluster, tmp_path: Path
) -> None:
    async with shown.console(full_cluster.inventory(), tmp_path) as pilot:
        end = time.monotonic() + SETTLED
        while wrong := await differences(pilot, full_cluster):
            assert time.monotonic() < end, "\n".join(wrong)


async def differences(pilot: Pilot[Any], cluster: LabCluster) -> list[str]:
    """What the screen says otherwise than the hosts do, both read now."""
    true = await asyncio.to_thread(hand.facts, cluster)
    assert {f.component for f in true} == SEED
    wrong: list[str] = []
    for facts in true:
        row = (await shown.rows(pilot, facts.component)).get(facts.host)
        if row is None:
            wrong.append(f"{facts.component} on {facts.host} has no row")
            continue
        known = await shown.known(pilot, facts.component, facts.host)
        wrong += [*compare_row(row, facts), *compare_known(known, facts)]
    return wrong


def compare_row(row: dict[str, str], facts: Facts) -> list[str]:
    """What a row says otherwise than it is. A cell that is too narrow may cut what it says, and shows it."""
    said = {
        "state": (row["state"] == "up") is facts.up,
        "sign": row["host"].startswith("●") is facts.up,
        "pids": pids(row["pids"]) == (facts.main, len(facts.pids)),
        "user": fits(row["user"], facts.users),
        "process": fits(row["process"], facts.names),
        "ports": fits(row["ports"], [str(p) for p in facts.ports]),
        "workers": row["workers"] == workers(facts),
        "health": health(row["health"], facts),
        "log": any(tail_fits(log, row["log"]) for log in facts.logs),
    }
    return [f"{name}: {row.get(name)} of {row}, not {facts}" for name, right in said.items() if not right]


def compare_known(known: dict[str, str], facts: Facts) -> list[str]:
    """The same of the pane below, where nothing is cut."""
    said = {
        "pids": {int(p) for p in known.get("pids", "").split(", ") if p} == facts.pids,
        "runs as": set(known.get("runs as", "").split(", ")) == (facts.users or {""}),
        "ports": known.get("ports", "") == ", ".join(str(p) for p in sorted(facts.ports)),
        "state": known["state"].startswith("up ") is facts.up,
    }
    return [f"{name}: {known.get(name)}, not {facts}" for name, right in said.items() if not right]


def pids(text: str) -> tuple[int | None, int]:
    """ "812 +4" -> (812, 5)"""
    first, _, more = text.partition(" +")
    return (int(first), int(more or 0) + 1) if first else (None, 0)


def fits(text: str, true: Any) -> bool:
    """Whether a list that may be cut names only what is true, and all of it unless it is cut."""
    words = [word for word in text.rstrip("…").rstrip(", ").split(", ") if word]
    if not text.endswith("…"):
        return set(words) == set(true)
    *whole, cut = words or [""]
    return set(whole) < set(true) and any(t.startswith(cut) for t in set(true) - set(whole))


def tail_fits(path: str, text: str) -> bool:
    """Whether a path, of which the end may be all that is shown, is this one; it may be a pattern."""
    return fnmatchcase(path, f"*{text.removeprefix('…')}" if text.startswith("…") else text)


def workers(facts: Facts) -> str:
    if facts.workers is None and facts.usual is None:
        return ""
    return f"{facts.workers}/{facts.usual} usual"


def health(text: str, facts: Facts) -> bool:
    if facts.answers is None:
        return text == ("no check" if facts.pids else "")
    return text.startswith("● " if facts.answers else "✗ ")


def test_status_says_the_same_as_is_read_by_hand(full_cluster: LabCluster, tmp_path: Path) -> None:
    console = Console(full_cluster.lab.hosts_yaml(full_cluster.inventory()), tmp_path)
    end = time.monotonic() + SETTLED
    while True:
        told = console.json("status", status=None)["instances"]
        instances = {(i["component"], i["host"]): i for i in told}
        true = hand.facts(full_cluster)
        wrong = [text for f in true for text in compare_json(instances[f.component, f.host], f)]
        if not wrong:
            return
        assert time.monotonic() < end, "\n".join(wrong)


def compare_json(said: dict[str, Any], facts: Facts) -> list[str]:
    checks = [e["state"] for e in said["evidence"] if e["source"] == "health"]
    right = {
        "state": (said["state"] == "up") is facts.up,
        "pids": set(said["pids"]) == facts.pids,
        "users": set(said["users"]) == facts.users,
        "ports": set(said["ports"]) == facts.ports,
        "workers": said["workers"] == {"expected": facts.usual, "found": facts.workers},
        "logs": all(any(fnmatchcase(log, s) for s in said["logs"]) for log in facts.logs),
        "health": health_json(checks, facts),
    }
    return [f"{name} of {said}, not {facts}" for name, same in right.items() if not same]


def health_json(states: list[str], facts: Facts) -> bool:
    """One that answers may have checks that can't be made here; one that doesn't has none that went well."""
    if facts.answers is None:
        return states == []
    if facts.answers:
        return "up" in states and set(states) <= {"up", "unknown"}
    return "down" in states and "up" not in states


async def test_what_a_row_is_of_opens_up_on_the_screen(full_cluster: LabCluster, tmp_path: Path) -> None:
    """Asked, left while it is asked, and asked again: nginx, whose pid and sites are read by hand."""
    web = full_cluster.web
    async with shown.console(full_cluster.inventory(), tmp_path) as pilot:
        end = time.monotonic() + SETTLED
        while (await shown.rows(pilot, "nginx")).get("web", {}).get("link") != "live":
            assert time.monotonic() < end
        screen = await inspected(pilot)
        await pilot.press("escape")
        assert screen.asking.began is None
        screen = await inspected(pilot)
        while screen.asking.began is not None or screen.asking.found is None:
            assert not screen.asking.error, screen.asking.error
            assert time.monotonic() < end
            await pilot.pause(0.1)
        view = screen.query_one(InspectionView)
        await pilot.pause()
        text = "\n".join(view._draw(y, view.size.width).text for y in range(view.size.height))
        assert "NGINX ON web" in text
        pid = (await web.ash("cat /run/nginx.pid")).strip()
        assert re.search(rf"master pid +{pid}\b", text), text
        assert "lms-backend" in text


async def inspected(pilot: Pilot[Any]) -> InspectScreen:
    await pilot.press("i")
    for _ in range(200):
        if isinstance(pilot.app.screen, InspectScreen):
            return pilot.app.screen
        await pilot.pause(0.05)
    raise AssertionError("it never opened")


def test_all_columns_of_a_row_have_room_on_a_wide_terminal() -> None:
    from widgets.clock import Clock

    table = InstanceTable(Clock())
    assert len(table.shown_columns(shown.SIZE[0])) == len(table.columns)
