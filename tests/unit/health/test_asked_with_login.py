"""RabbitMQ's queues and MySQL's connections: judged whatever is answered; without a login, unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.model import HealthSpec
from edxconsole.cluster.model import State
from edxconsole.cluster.text import clean_text
from edxconsole.errors import PortRefused
from edxconsole.health.answer import Answer
from edxconsole.health.http import Page
from edxconsole.health.mysql_login import NO_LOGIN, check_mysql_login
from edxconsole.health.rabbitmq import check_amqp_queues, judge
from edxconsole.transport.base import Result

SPEC = HealthSpec(name="queues", kind="amqp-queues", port=15672)


def queues(*rows: tuple[str, int, int]) -> Answer:
    told = [{"vhost": "/", "name": n, "messages_ready": ready, "consumers": c} for n, ready, c in rows]
    return judge(Page(200, body=json.dumps(told).encode()))


@pytest.mark.parametrize(
    ("rows", "state", "words"),
    [
        ([("edx.lms.core.high", 25, 0)], State.DEGRADED, "nobody takes them: over 20 in edx.lms.core.high"),
        ([("edx.lms.core.high", 25, 2)], State.UP, "over 20 in edx.lms.core.high; somebody takes them"),
        ([("edx.lms.core.high", 0, 0)], State.UP, "nothing waits in any of its queues"),
        ([("celeryev.f0", 40, 0), ("celery@x.celery.pidbox", 3, 0)], State.UP, "messages wait"),
        ([("celeryev.f0", 4000, 0)], State.DEGRADED, "4000 in celeryev.f0"),
        (
            [(f"q{i}", i, 0) for i in range(1, 8)],
            State.DEGRADED,
            "7 in q7, 6 in q6, 5 in q5, 4 in q4, and 3 more",
        ),
    ],
)
def test_queues(rows: list[tuple[str, int, int]], state: State, words: str) -> None:
    found = queues(*rows)
    assert (found.state, words in found.text) == (state, True), found


@pytest.mark.parametrize(
    ("page", "state"),
    [
        (Page(401), State.UNKNOWN),
        (Page(200, body=b"[]", cut=True), State.UNKNOWN),
        (Page(500, body=b"oops"), State.DEGRADED),
        (Page(200, body=b"{}"), State.DEGRADED),
        (Page(200, body=b"[" * 100_000), State.DEGRADED),
    ],
)
def test_answers_without_queues(page: Page, state: State) -> None:
    assert judge(page).state is state


ROWS = st.lists(
    st.dictionaries(
        st.sampled_from(["name", "messages_ready", "consumers"]),
        st.none() | st.integers() | st.floats() | st.text() | st.booleans(),
    )
    | st.integers()
)


@given(st.integers(100, 599), st.binary() | ROWS.map(lambda rows: json.dumps(rows).encode()))
def test_any_answer_is_judged(status: int, body: bytes) -> None:
    found = judge(Page(status, body=body))
    assert clean_text(found.text) == found.text


class Told:
    """A host whose commands all end so, and on which no management plugin listens."""

    def __init__(self, status: int, out: bytes = b"", err: bytes = b"") -> None:
        self._result = Result((), status, out, err)
        self.ran: list[tuple[str, ...]] = []

    async def run(self, argv: Any, **_: Any) -> Result:
        self.ran.append(tuple(argv))
        return self._result

    async def open_stream(self, *_: Any, **__: Any) -> Any:
        raise PortRefused("127.0.0.1:15672 refused the connection")


async def test_without_the_plugin_no_password_is_read() -> None:
    host = Told(0)
    found = await check_amqp_queues(host, SPEC)  # type: ignore[arg-type]
    assert (found.state, "management plugin is not on" in found.text) == (State.UNKNOWN, True)
    assert not host.ran


@pytest.mark.parametrize(
    ("status", "out", "err", "state", "words"),
    [
        (NO_LOGIN, b"", b"", State.UNKNOWN, "has no ~/.my.cnf"),
        (0, b"1\nThreads_connected\t31\nmax_connections\t151\n", b"", State.UP, "about 20 % of 151"),
        (0, b"1\nThreads_connected\t140\nmax_connections\t151\n", b"", State.DEGRADED, "140 of 151"),
        (0, b"1\n", b"", State.UP, "does not say how many"),
        (0, b"2\n", b"", State.DEGRADED, "something else"),
        (1, b"", b"ERROR 1045 (28000): Access denied for user 'ops'", State.UNKNOWN, "does not let us in"),
        (1, b"", b"ERROR 1040 (HY000): Too many connections", State.DOWN, "Too many connections"),
        (127, b"", b"sh: 1: exec: mysql: not found", State.UNKNOWN, "not found"),
    ],
)
async def test_mysql(status: int, out: bytes, err: bytes, state: State, words: str) -> None:
    host = Told(status, out, err)
    found = await check_mysql_login(host, SPEC)  # type: ignore[arg-type]
    assert (found.state, words in found.text) == (state, True), found
    assert len(host.ran) == 1


@given(st.integers(0, 255), st.binary(max_size=200), st.binary(max_size=200))
async def test_whatever_mysql_prints_is_judged(status: int, out: bytes, err: bytes) -> None:
    found = await check_mysql_login(Told(status, out, err), SPEC)  # type: ignore[arg-type]
    assert clean_text(found.text) == found.text
