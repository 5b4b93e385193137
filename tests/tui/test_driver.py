"""What the driver adds to Textual's: a terminal that goes away never holds up the end."""

from __future__ import annotations

import io
import logging

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from widgets.driver import Output


class Terminal(io.StringIO):
    """It takes one write, then it hangs up."""

    def write(self, text: str) -> int:
        if self.getvalue():
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_the_writer_ends_though_the_terminal_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    terminal = Terminal()
    writer = WriterThread(Output(terminal))  # type: ignore[arg-type]
    writer.start()
    with caplog.at_level(logging.WARNING, "widgets.driver"):
        for number in range(3 * MAX_QUEUED_WRITES):
            writer.write(str(number))
        writer.stop()
    assert not writer.is_alive()
    assert terminal.getvalue() == "0"
    assert [r.getMessage() for r in caplog.records] == [
        "the terminal takes nothing any more: [Errno 5] Input/output error"
    ]
