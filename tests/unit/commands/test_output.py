"""What commands print: aligned, safe to print, with shapes where the stream has them."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.cluster.model import Link, State
from edxconsole.commands.output import Cell, Printer, ago, count, mask, print_json
from widgets.states import LINK, STATE


def printer(encoding: str = "utf-8") -> tuple[Printer, io.BytesIO]:
    raw = io.BytesIO()
    return Printer(io.TextIOWrapper(raw, encoding=encoding, write_through=True)), raw


def test_columns_line_up() -> None:
    out, raw = printer()
    out.table(["HOST", ">PORT", "WHAT"], [["web1", "80", "nginx"], ["a", "18000", "x"]])
    assert raw.getvalue().decode().splitlines() == [
        "HOST   PORT  WHAT",
        "web1     80  nginx",
        "a     18000  x",
    ]


def test_states_have_words_and_shapes() -> None:
    out, _ = printer()
    assert [out.state(s).text for s in State] == ["● up", "◐ degraded", "✗ down", "? unknown", "○ absent"]
    ascii_only, _ = printer("ascii")
    assert all(ascii_only.state(s).text.isascii() for s in State)
    assert len({ascii_only.state(s).text[0] for s in State}) == 5


@pytest.mark.parametrize("link", [link for link in Link if link is not Link.LIVE])
def test_no_other_link_looks_live(link: Link) -> None:
    out, _ = printer()
    assert out.link(link).paint != out.link(Link.LIVE).paint
    assert out.link(link).text[0] != "●"


@given(st.text(max_size=80))
def test_remote_text_can_not_steer_the_terminal(text: str) -> None:
    out, raw = printer()
    out.table(["A", "B"], [[text, Cell(text)]])
    said = raw.getvalue().decode("utf-8", "surrogatepass")
    assert said.count("\n") == 2
    assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) <= 0x9F or c in "\u202e\u2066" for c in said)


def test_passwords_in_urls_are_masked() -> None:
    assert mask("broker amqp://celery:hunter2@127.0.0.1:5672// ok") == "broker amqp://***@127.0.0.1:5672// ok"
    assert mask("http://host/path") == "http://host/path"


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json("x", {"text": "\x1b[2J\u202e"})
    said = capsys.readouterr().out
    assert said.isascii()
    assert "\x1b" not in said
    assert json.loads(said) == {"schema": "edxconsole/1", "kind": "x", "text": "\x1b[2J\u202e"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert ago(seconds) == text


def test_counts() -> None:
    assert (count(1, "host"), count(2, "host")) == ("1 host", "2 hosts")


def test_a_shape_means_on_a_line_what_it_means_on_a_screen() -> None:
    out, _ = printer()
    assert {s: out.state(s).text.split()[0] for s in State} == {s: STATE[s].glyph for s in State}
    shown = {
        link: out.link(link).text.split()[0] for link in (Link.LIVE, Link.STALE, Link.LOST, Link.REFUSED)
    }
    assert shown == {link: LINK[link].glyph for link in shown}
