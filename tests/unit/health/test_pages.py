"""Health pages in every form that services give them, and what a part of them means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.catalog.parts import MEANINGS
from edxconsole.cluster.text import clean_text
from edxconsole.health.pages import Part, Told, read_page, what_is_false

WELL = {"status": True, "message": "OK"}


def told(body: Any) -> Told:
    found = read_page(json.dumps(body).encode())
    assert found is not None
    return found


def test_the_heartbeat_from_hawthorn_on() -> None:
    found = told({"modulestore": WELL, "sql": {"status": False, "message": "(2003, gone)"}})
    assert found.parts == (Part("modulestore", True), Part("sql", False, "(2003, gone)"))


def test_the_extended_heartbeat() -> None:
    found = told({"celery": {"status": False, "message": "expired"}, "sql": WELL, "modulestore": WELL})
    (text,) = [what_is_false(found.false)]
    assert text.startswith(
        "celery false: its sample task was not done in time (expired); look at the workers"
    )


@pytest.mark.parametrize(
    ("body", "false"),
    [
        ({"split": True, "SQL": True}, []),
        ({"split": True, "SQL": False}, ["SQL"]),
        ({"SQL": "(1040, 'Too many connections')"}, ["SQL"]),
        ({"date": "2013-10-01 10:00:00", "courses": ["edX/Open_DemoX/1"]}, []),
    ],
)
def test_the_heartbeat_before_hawthorn(body: Any, false: list[str]) -> None:
    assert [part.name for part in told(body).false] == false


@pytest.mark.parametrize(
    ("body", "well", "false"),
    [
        ({"OK": True}, True, []),
        ({"OK": False, "check": "db"}, False, ["db"]),
        ({"overall_status": "OK", "detailed_status": {"database_status": "OK"}}, True, []),
        (
            {"overall_status": "UNAVAILABLE", "detailed_status": {"default_db_status": "UNAVAILABLE"}},
            False,
            ["default_db"],
        ),
        ({"overall_status": "UNAVAILABLE"}, False, []),
        ({"status": "available"}, True, []),
        ({"status": "broken"}, False, []),
        ({"return_code": 0, "content": "OK"}, True, []),
        ({"return_code": 1, "content": "no"}, False, []),
        ({}, None, []),
    ],
)
def test_the_pages_of_the_others(body: Any, well: bool | None, false: list[str]) -> None:
    found = told(body)
    assert (found.well, [part.name for part in found.false]) == (well, false)


@pytest.mark.parametrize("name", ["sql", "modulestore", "celery", "cache_set", "forum", "es", "default_db"])
def test_every_part_we_know_says_what_is_broken_and_where_to_look(name: str) -> None:
    text = what_is_false([Part(name, False)])
    assert text == f"{name} false: {MEANINGS[name].broken}; look {MEANINGS[name].look}"


def test_a_part_that_nobody_knows_says_its_own_words() -> None:
    assert what_is_false([Part("teapot", False, "short and stout")]) == "teapot false (short and stout)"


def test_a_message_has_no_password_and_no_escapes() -> None:
    message = "can't reach mongodb://edxapp:s3cret@data/ \x1b]52;c;x\x07 now" + "x" * 5000
    (part,) = told({"modulestore": {"status": False, "message": message}}).parts
    assert "s3cret" not in part.message
    assert part.message.startswith("can't reach mongodb://***@data/")
    assert part.message.isprintable()
    assert len(part.message) <= 90


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(MEANINGS)), inner),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["OK", "check", "status", "overall_status", "detailed_status", "sql"]) | st.text(),
        JSON,
    )
)
def test_any_json_is_read_or_is_no_page(body: Any) -> None:
    found = read_page(json.dumps(body).encode())
    assert found is not None
    assert len(found.parts) <= 20
    said = what_is_false(found.false)
    assert clean_text(said) == said


@given(st.binary() | st.sampled_from([b"[" * 100_000, b"1" * 10_000, b'{"a":' * 50_000]))
def test_any_bytes_are_read_or_are_no_page(body: bytes) -> None:
    found = read_page(body)
    assert found is None or isinstance(found, Told)
