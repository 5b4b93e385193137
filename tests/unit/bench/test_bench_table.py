"""The benchmarks' table says what was measured, and never calls a miss a success."""

from __future__ import annotations

from tests.bench.harness import HEAD, Row, p95
from tests.bench.measures import MEASURES
from tests.bench.measures.console_idle import needless
from tests.bench.report import document, table, verdicts
from tests.bench.terminal import Chunk

KEPT = Row("keys", 12.3, "ms", most=15.0, against="other 30.0 ms", ratio="0.4", note="n", loop=10.0)
MISSED = Row("cpu", 2.5, "%", most=2.0, loop=20.0)
ABSENT = Row("glances", None, "%", note="no glances here", loop=10.0)


def test_a_row_keeps_its_bound_misses_it_or_was_not_measured() -> None:
    assert [row.verdict for row in (KEPT, MISSED, ABSENT)] == ["ok", "MISSED", "not measured"]
    assert Row("bytes", 7, "").verdict == ""


def test_the_table_is_aligned_and_has_the_notes() -> None:
    lines = table([KEPT, MISSED]).splitlines()
    at = lines[0].index("verdict")
    assert lines[1][at:] == "ok"
    assert lines[2].strip() == "n"
    assert lines[3][at:] == "MISSED"
    assert lines[0].split()[0] == HEAD[0]


def test_the_last_sentence_names_what_was_missed_and_that_the_machine_was_busy() -> None:
    said = verdicts([KEPT, MISSED, ABSENT])
    assert said.startswith("1 of 3 bounds kept; not: cpu; glances.")
    assert "10.0 to 20.0 ms" in said


def test_the_document_explains_each_measure() -> None:
    text = document([KEPT, MISSED, ABSENT], "python -m tests.bench", "2026-01-01", MEASURES)
    for name in MEASURES:
        assert f"**{name}.**" in text
    assert "| keys<br><small>n</small> | ≤ 15.0 ms | 12.3 ms |" in text


def test_p95_is_a_value_that_was_measured() -> None:
    assert p95([float(n) for n in range(1, 21)]) == 19.0
    assert p95([3.0]) == 3.0


def test_a_frame_without_a_change_before_it_is_needless() -> None:
    frames = [Chunk(1.0, b""), Chunk(2.0, b""), Chunk(3.0, b"")]
    assert needless(frames, [0.5, 2.9], began=0.0) == 1
    assert needless(frames, [0.5, 0.95, 2.9], began=0.0) == 0
