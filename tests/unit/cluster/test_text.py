"""Host text as it is shown: bounded, one line, nothing that a terminal obeys."""

from __future__ import annotations

import pytest

from edxconsole.cluster.text import LINE_LIMIT, clean_line, clean_text, last_lines


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b]52;c;x\x07b\u202ec\n d", "ab\ufffdc d"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("one\r\ntwo\tthree", "one two three"),
        ("c1 \x9b31m and bom \ufeff", "c1 and bom \ufffd"),
        ("half \x1b", "half"),
    ],
)
def test_a_line_is_printable(said: str, shown: str) -> None:
    assert clean_line(said) == shown


def test_it_is_bounded() -> None:
    assert clean_line("x" * 10_000) == "x" * (LINE_LIMIT - 1) + "\u2026"
    assert clean_line("abcdef", 3) == "ab\u2026"


def test_text_keeps_its_lines() -> None:
    assert clean_text("one\r\n\ttwo\x07") == "one\n\ttwo\ufffd"


def test_the_end_of_a_log() -> None:
    assert last_lines(b"one\n\ntwo\r\n\xff\xfe three\n", 2) == "two | \ufffd\ufffd three"
