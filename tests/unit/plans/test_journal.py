"""The journal: durable, ordered, chained; tampering and tearing show."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edxconsole.errors import JournalError
from edxconsole.plans.journal import GENESIS, Journal


def test_records_are_chained_and_private(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state")
    first = journal.append("p1", "act.begin", host="app1", unit="lms")
    second = journal.append("p1", "act.end", host="app1", unit="lms")
    assert first["prev"] == GENESIS
    assert (first["seq"], second["seq"]) == (0, 1)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    assert [r["ev"] for r in journal.records()] == ["act.begin", "act.end"]
    assert journal.verify().ok
    assert journal.verify().records == 2


@pytest.mark.parametrize("damage", ["change", "remove", "swap", "insert"])
def test_tampering_breaks_the_chain(tmp_path: Path, damage: str) -> None:
    journal = Journal(tmp_path)
    for number in range(4):
        journal.append("p", "note", number=number)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    if damage == "change":
        lines[1] = lines[1].replace(b'"number":1', b'"number":7')
    elif damage == "remove":
        del lines[1]
    elif damage == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines.insert(2, lines[1])
    journal.path.write_bytes(b"".join(lines))
    verdict = journal.verify()
    assert not verdict.ok
    assert verdict.line in (2, 3)


def test_a_torn_last_line_is_reported_and_the_next_record_starts_clean(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("p", "act.begin")
    with journal.path.open("ab") as file:
        file.write(b'{"v":1,"plan":"p","ev":"act.e')
    assert "torn" in journal.verify().fault
    assert [r["ev"] for r in journal.records()] == ["act.begin"]
    journal.append("p", "resumed")
    assert [r["ev"] for r in journal.records()] == ["act.begin", "resumed"]
    assert not journal.verify().ok, "a torn record stays visible for ever"


def test_two_consoles_share_one_chain(tmp_path: Path) -> None:
    def write(plan: str) -> None:
        journal = Journal(tmp_path)
        for _ in range(25):
            journal.append(plan, "note")

    threads = [threading.Thread(target=write, args=(f"p{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = Journal(tmp_path).verify()
    assert (verdict.ok, verdict.records) == (True, 100)
    assert [r["seq"] for r in Journal(tmp_path).records()] == list(range(100))


def test_an_unwritable_journal_raises(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(JournalError, match="can't be written"):
        Journal(tmp_path).append("p", "act.begin")


def test_a_killed_writer_leaves_a_chain_that_verifies(tmp_path: Path) -> None:
    """kill -9 in a loop of appends: every record that append() returned for is there, whole."""
    code = (
        "import sys; from pathlib import Path; from edxconsole.plans.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]))\n"
        "while True: print(j.append('p', 'note')['seq'], flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(40)][-1]
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    written = [r["seq"] for r in Journal(tmp_path).records()]
    assert written[: acknowledged + 1] == list(range(acknowledged + 1))
    verdict = Journal(tmp_path).verify()
    assert verdict.ok or "torn" in verdict.fault
    json.loads((tmp_path / "journal.jsonl").read_bytes().splitlines()[0])
