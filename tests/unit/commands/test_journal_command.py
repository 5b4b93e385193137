"""`edxconsole journal` shows acts and tells a broken chain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edxconsole.commands.journal import journal
from edxconsole.errors import JournalError
from edxconsole.plans.journal import Journal
from edxconsole.settings import state_dir


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    book = Journal(state_dir())
    book.append("p1", "act.begin", host="app1", unit="supervisor/lms", verb="restart", cmd="stopProcess(lms)")
    book.append(
        "p2", "act.begin", host="web", unit="systemd/nginx.service", verb="reload", cmd="systemctl reload"
    )
    return book


def test_it_lists_and_filters(book: Journal) -> None:
    everything = CliRunner().invoke(journal, [])
    assert everything.exit_code == 0
    assert "restart supervisor/lms app1 stopProcess(lms)" in everything.output
    assert "app1" not in CliRunner().invoke(journal, ["--host", "web"]).output
    assert json.loads(CliRunner().invoke(journal, ["--json", "--plan", "p1"]).output)["host"] == "app1"


def test_it_verifies_and_tells_a_broken_chain(book: Journal) -> None:
    assert "2 records, the chain is whole" in CliRunner().invoke(journal, ["--verify"]).output
    book.path.write_bytes(book.path.read_bytes().replace(b"restart", b"restarT"))
    result = CliRunner().invoke(journal, ["--verify"])
    assert isinstance(result.exception, JournalError)
    assert "line 2" in str(result.exception)
