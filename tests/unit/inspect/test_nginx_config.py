"""The reader of `nginx -T`: true to a recorded one, and nothing raises but its own error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.access_log import read_mix
from edxconsole.inspect.nginx_config import parse, read_dump, split_dump

GOLDEN = Path(__file__).with_name("golden") / "nginx-T-1.22.1.txt"
PIECES = st.sampled_from(
    [
        *";{}#\"'\\$ \n\tab1",
        "${",
        "include *;",
        "server {",
        "# configuration file /a:\n",
        'a "b" ;',
        "\0",
        "é",
    ]
)


def outcome(read: Callable[[], object]) -> object:
    """What it reads, or the sentence with which it refuses."""
    try:
        return read()
    except NotUnderstood as error:
        return error.cause


def test_a_recorded_dump_is_read_whole() -> None:
    main = read_dump(GOLDEN.read_text())
    (http,) = main.all("http")
    assert [u.args[0] for u in http.all("upstream")] == ["forum_app_server", "lms-backend"]
    lms = list(http.all("upstream"))[1]
    assert [m.args for m in lms.all("server")] == [
        ("127.0.0.1:8000", "fail_timeout=0"),
        ("127.0.0.2:8000", "backup"),
        ("127.0.0.3:8000", "down"),
    ]
    servers = list(http.all("server"))
    assert [d.args[0] for s in servers for d in s.all("listen")] == ["127.0.0.1:18080", "18000", "[::]:18000"]
    assert [d.args for d in servers[1].walk() if d.name == "set"] == [("$x", "${proto}/${host}")]
    assert [d.args[-1] for d in servers[1].all("location")][1] == "^/asset{1,3}"
    assert servers[1].file.endswith("/sites/lms")


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_nothing_is_raised_but_our_error(text: str) -> None:
    for read in (lambda: parse(text, "f"), lambda: read_dump(text), lambda: split_dump(text)):
        assert outcome(read) is not None


@given(st.lists(st.text("abc$./", min_size=1, max_size=8), min_size=1, max_size=6))
def test_words_come_back_as_written(words: list[str]) -> None:
    (found,) = parse(f"{' '.join(words)};", "f")
    assert (found.name, *found.args) == tuple(words)


@pytest.mark.parametrize(
    "piece", ['"', "'", "\\", "${", "{", "}", "a{", "a;", "#", '"\\', "a ", "include f;", "\0", "a{b;}"]
)
def test_a_large_hostile_file_is_read_or_refused(piece: str) -> None:
    """Half a megabyte of each: what is worse than linear does not end within the test's time."""
    text = piece * (500_000 // len(piece))
    assert isinstance(outcome(lambda: parse(text, "f")), str | tuple)


def test_files_that_include_each_other_end() -> None:
    text = "# configuration file /a:\ninclude /b;\n# configuration file /b:\ninclude /a;\ninclude /a;\n"
    with pytest.raises(NotUnderstood, match=r"include each other|more than"):
        read_dump(text)


P_COMBINED = (
    '- - - - https [23/Nov/2026:05:0{n}:00 +0000]  "GET /x HTTP/1.1" {status} 12 0.003 "-" "curl \\x22"'
)


def test_status_codes_are_counted_in_both_formats() -> None:
    lines = [P_COMBINED.format(n=n, status=s) for n, s in enumerate((200, 200, 302, 502))]
    lines.append('192.0.2.7 - - [23/Nov/2026:05:09:00 +0000] "GET / HTTP/1.1" 404 5 "-" "-"')
    mix = read_mix("\n".join([*lines, "no such line"]))
    assert dict(mix.codes) == {200: 2, 302: 1, 502: 1, 404: 1}
    assert (mix.total, mix.unread, mix.share(2), mix.share(5)) == (5, 1, 40.0, 20.0)
    assert (mix.first, mix.last) == ("23/Nov/2026:05:00:00 +0000", "23/Nov/2026:05:09:00 +0000")


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["[", "]", '"', " 200 ", "x" * 12, " +0000"])).map("".join)
)
def test_any_log_is_counted(text: str) -> None:
    mix = read_mix(text)
    assert mix.total + mix.unread == len(text.splitlines())
