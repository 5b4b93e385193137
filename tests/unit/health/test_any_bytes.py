"""Whatever a service sends, its check ends with an answer, a hangup or a ValueError (told as a sentence)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.model import HealthSpec
from edxconsole.errors import ServiceUnavailable
from edxconsole.health.answer import Answer
from edxconsole.health.checks import _CHECKS
from edxconsole.health.wire import Hangup, Wire
from edxconsole.services.http1 import HttpConnection
from edxconsole.transport.base import Stream

SPECS: dict[str, HealthSpec] = {
    spec.kind: spec for component in load_catalog().components.values() for spec in component.health
}
PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"\0", b" ", b"9", b"-", b"\xff", b"\xc2\xb2", b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 \xb2 OK\r\n", b"HTTP/1.1 503 x\r\n", b"HTTP/1.1 302 x\r\nLocation: http://evil/\r\n",
        b"Content-Length: 9\r\n", b"Content-Length: \xb2\r\n", b"Content-Length: -1\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n",
        b"0\r\n\r\n", b"fffffffff\r\n", b"{}", b'{"status": ', b'"green"}', b"[[[[",
        b'{"sql": {"status": false}}', b"1e999", b"NaN", b"STAT evictions 5\r\n", b"STAT get_hits \xb2\r\n",
        b"STAT accepting_conns 0\r\n", b"END\r\n", b"+PONG\r\n", b"-NOAUTH x\r\n", b"$-1\r\n",
        b"$5\r\nhello\r\n", b"$" + b"9" * 30 + b"\r\n", b":\xb2\r\n", b"*2\r\n", b"*-1\r\n",
        b"*" + b"9" * 20 + b"\r\n", b"# Keyspace\r\ndb0:keys=1\r\n", b"\x4a\0\0\0\x0a10.11.9-MariaDB\0",
        b"\x08\0\0\0\xff\x10\x04Too many", b"\x05\0\0\0\x0a",
        b"\x01\0\0\0\0\0\0\x14\0\x0a\0\x0a\0\x09\0\0\0\0", b"AMQP\0\0\x09\x01", b"\xce",
        b"\x16\x03\x01\0\x05hello", b"\x15\x03\x03\0\x02\x02\x28",
        b"\x25\0\0\0\x01\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0\x10\0\0\0\x10ok\0\x01\0\0\0\0",
        b"\x24\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0",
    ]
)  # fmt: skip
SENT = st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=200)
HTTP = st.builds(
    lambda status, name, length, body: b"HTTP/1.1 " + status + b" x\r\n" + name + length + b"\r\n\r\n" + body,
    st.sampled_from([b"200", b"503", b"302", b"\xb2", b"2000", b"-1", b""]),
    st.sampled_from([b"Content-Length: ", b"Transfer-Encoding: chunked\r\nX: ", b"Location: "]),
    st.sampled_from([b"5", b"\xb2", b"-1", b"9" * 30, b"9" * 5000, b""]),
    SENT,
)


class Deaf:
    """Where what we write goes."""

    def write(self, data: bytes) -> None:
        """Nothing comes of it."""

    async def drain(self) -> None:
        """There is always room."""

    def write_eof(self) -> None:
        """Nobody waits for more."""

    def close(self) -> None:
        """Nothing is open."""

    async def wait_closed(self) -> None:
        """At once."""


def sent(data: bytes) -> Stream:
    """A stream on which that was sent, and then closed."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return Stream(reader, Deaf(), "local")


@pytest.mark.parametrize("kind", sorted(_CHECKS))
@given(data=SENT | HTTP)
def test_a_check_answers_or_refuses_what_was_sent(kind: str, data: bytes) -> None:
    async def ask() -> None:
        with suppress(Hangup, ValueError):
            found = await _CHECKS[kind](Wire(sent(data)), SPECS[kind])
            assert isinstance(found, Answer)
            assert len(found.text) < 1000
            assert found.text.isprintable()

    asyncio.run(ask())


@given(data=SENT | HTTP)
def test_an_answer_of_supervisor_or_rabbitmq_is_read_or_refused(data: bytes) -> None:
    async def ask() -> None:
        with suppress(ServiceUnavailable):
            found = await HttpConnection(sent(data)).request("GET", "/", headers={}, timeout=5.0)
            assert 0 <= found.status <= 999

    asyncio.run(ask())
