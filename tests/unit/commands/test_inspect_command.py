"""What `edxconsole inspect` prints of an inspection, and what it says when there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edxconsole.cli import run
from edxconsole.cluster.model import State
from edxconsole.commands.inspect import _print, inspection_json
from edxconsole.commands.output import Printer
from edxconsole.inspect.model import Fact, Finding, Inspection, Missing, Section, Table

FOUND = Inspection(
    host="data",
    component="redis",
    at=5.0,
    sections=(
        Section("memory", (Fact("used_bytes", 3 << 20, "INFO"), Fact("used_percent", 12.5, "INFO"))),
        Section(
            "queues",
            (
                Fact("oldest_seconds", 300, "INFO"),
                Fact("loading", False, "INFO"),
                Fact("limit", None, "INFO"),
            ),
            (Table("queues", ("queue", "waiting"), ({"queue": "celery", "waiting": 7},), "LLEN", 3),),
        ),
        Section("clients", (), (Table("clients", ("name",), (), "CLIENT LIST"),)),
    ),
    findings=(Finding(State.DEGRADED, "nearly full"),),
    missing=(Missing("settings", "NOPERM", "ask"),),
)


def test_units_come_from_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    _print(Printer(), FOUND)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "redis@data"
    for line in (
        f"{Printer().state(State.DEGRADED).text} nearly full",
        "? not seen settings: NOPERM",
        "remedy: ask",
        "used 3.0 MiB INFO",
        "used % 12.5 % INFO",
        "oldest 5 min INFO",
        "loading no INFO",
        "limit unknown INFO",
        "celery 7",
        "by LLEN; 3 more are left out",
        "no clients (CLIENT LIST)",
    ):
        assert line in lines


def test_json_keeps_every_value_with_its_source() -> None:
    body = json.loads(json.dumps(inspection_json(FOUND)))
    assert body["sections"][0]["facts"]["used_bytes"] == {"value": 3 << 20, "source": "INFO"}
    assert body["sections"][1]["tables"]["queues"] == {
        "source": "LLEN",
        "rows": [{"queue": "celery", "waiting": 7}],
        "left_out": 3,
    }
    assert body["findings"] == [{"state": "degraded", "text": "nearly full"}]
    assert body["missing"] == [{"what": "settings", "cause": "NOPERM", "remedy": "ask"}]


def test_a_selector_is_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["inspect"]) == 2
    assert "SELECTOR" in capsys.readouterr().err
