"""Chunks of files become whole lines, whatever happens to the files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edxconsole.logs.lines import MAX_HELD, LineKeeper
from edxconsole.logs.model import LogSource
from edxconsole.probe.frames import LogChunk

SOURCE = LogSource("app1", "/var/log/x.log")


def chunk(data: str, offset: int, *, inode: int = 7, mark: str = "", lost: int = 0) -> LogChunk:
    return LogChunk(
        n=0, t=1.0, id=1, path=SOURCE.path, device=1 if inode else 0, inode=inode, offset=offset,
        data=data, mark=mark, lost=lost, length=len(data.encode()),
    )  # fmt: skip


def take(keeper: LineKeeper, *chunks: LogChunk) -> list[tuple[str, str, int]]:
    return [(b.mark, b.data, b.lost) for c in chunks for b in keeper.take(c, 1.0)]


def test_only_whole_lines_come_out() -> None:
    keeper = LineKeeper(SOURCE)
    assert take(keeper, chunk("one\ntw", 0, mark="start")) == [("start", "", 0), ("", "one\n", 0)]
    assert take(keeper, chunk("o\n", 6)) == [("", "two\n", 0)]
    assert keeper.position == (1, 7, 8)


def test_a_rotated_file_is_read_to_its_end_beside_the_new_one() -> None:
    keeper = LineKeeper(SOURCE)
    take(keeper, chunk("one\nlate ", 0))
    assert take(keeper, chunk("new\n", 0, inode=8, mark="rotated")) == [("rotated", "", 0), ("", "new\n", 0)]
    assert take(keeper, chunk("line\n", 9)) == [("", "late line\n", 0)]
    assert keeper.position == (1, 8, 4)


def test_a_line_goes_on_in_the_copy_of_a_truncated_file() -> None:
    keeper = LineKeeper(SOURCE)
    take(keeper, chunk("one\nbeg", 0))
    assert take(keeper, chunk("un\ntwo\n", 7, inode=9)) == [("", "begun\ntwo\n", 0)]
    assert take(keeper, chunk("new\n", 0, mark="truncated")) == [("truncated", "", 0), ("", "new\n", 0)]
    assert keeper.position == (1, 7, 4)


def test_a_truncation_ends_the_line_that_was_begun() -> None:
    keeper = LineKeeper(SOURCE)
    take(keeper, chunk("begun", 0))
    assert take(keeper, chunk("new\n", 0, mark="truncated", lost=3)) == [
        ("", "begun\n", 0), ("truncated", "", 3), ("", "new\n", 0),
    ]  # fmt: skip


def test_a_connection_lost_in_a_line_loses_nothing() -> None:
    keeper = LineKeeper(SOURCE)
    take(keeper, chunk("one\nhal", 0))
    assert keeper.disconnected(2.0).mark == "disconnected"
    assert keeper.position == (1, 7, 7)
    assert take(keeper, chunk("f\n", 7, mark="start")) == [("resumed", "", 0), ("", "half\n", 0)]


def test_bytes_that_are_gone_after_a_reconnection_are_counted() -> None:
    keeper = LineKeeper(SOURCE)
    take(keeper, chunk("one\n", 0))
    keeper.disconnected(2.0)
    assert take(keeper, chunk("x\n", 900, inode=8, mark="gap", lost=50))[0] == ("gap", "", 50)


def test_a_missing_file_is_a_mark_and_no_position() -> None:
    keeper = LineKeeper(SOURCE)
    assert take(keeper, chunk("", 0, inode=0, mark="missing")) == [("missing", "", 0)]
    assert keeper.position is None


def test_a_line_without_end_is_cut() -> None:
    keeper = LineKeeper(SOURCE)
    pieces = take(keeper, chunk("x" * (MAX_HELD + 1), 0))
    assert pieces == [("", "x" * (MAX_HELD + 1) + "\n", 0)]


@given(st.lists(st.text(alphabet="ab\n", max_size=20), max_size=30))
def test_however_it_is_cut_all_lines_come_out_once(pieces: list[str]) -> None:
    keeper = LineKeeper(SOURCE)
    got, offset = "", 0
    for piece in pieces:
        got += "".join(data for _, data, _ in take(keeper, chunk(piece, offset)))
        offset += len(piece)
    whole = "".join(pieces)
    assert got == whole[: whole.rfind("\n") + 1]
