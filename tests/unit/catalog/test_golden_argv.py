"""Every process of every release is known for what it is, by one component only, and nothing else is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edxconsole.catalog.argv import read_argv
from edxconsole.catalog.loader import load_catalog
from edxconsole.catalog.matching import KINDS, claims, component_of_process, is_master, joined
from tests.unit.catalog.argv_by_release import GOLDEN, LOOK_ALIKES

CATALOG = load_catalog()
WORDS = sorted({word for text, _ in GOLDEN for word in text.split(" ")})


@pytest.mark.parametrize(("text", "component"), GOLDEN)
def test_golden(text: str, component: str) -> None:
    assert component_of_process(CATALOG, "x", text.split(" ")) == component
    assert claims(CATALOG, text.split(" ")) == ({component} if component else set())


def test_the_golden_table_has_every_name_and_pattern_of_every_signature() -> None:
    """A signature that no known argv needs is a guess, or its argv is missing in the table."""
    idle: list[tuple[str, str, str]] = []
    for component in CATALOG.components.values():
        own = [text for text, known in GOLDEN if known == component.id]
        said = [s for text in own if (s := read_argv(text.split()))]
        for kind in KINDS:
            keys = {key for s in said if s.kind == kind for key in s.keys}
            for name in getattr(component.signature, kind):
                fits = any(k.startswith(name[:-1]) for k in keys) if name.endswith("*") else name in keys
                idle += [] if fits else [(component.id, kind, name)]
        for pattern in component.signature.argv:
            idle += [] if any(re.search(pattern, text) for text in own) else [(component.id, "argv", pattern)]
    assert idle == []


def test_an_argv_of_one_word_with_blanks_is_read_as_ps_shows_it() -> None:
    assert component_of_process(CATALOG, "gunicorn", ["gunicorn: worker [lms.wsgi]", "", ""]) == "lms"
    assert component_of_process(CATALOG, "nginx", ["nginx: worker process", ""]) == "nginx"


def test_what_only_looks_alike_is_no_master_either() -> None:
    for component in CATALOG.components:
        for text in LOOK_ALIKES:
            if "--check-config" not in text:
                assert not is_master(CATALOG, component, text.split(" ")), (component, text)


def test_every_gunicorn_of_the_table_is_a_master_but_titled_workers_are_not() -> None:
    for text, component in GOLDEN:
        signature = CATALOG.components[component].signature if component else None
        if (
            signature is None
            or not signature.wsgi
            or "uwsgi" in text
            or "run-program" in text
            or "-run" in text
        ):
            continue
        assert is_master(CATALOG, component, text.split(" ")) == (not text.startswith("gunicorn: worker")), (
            text
        )


known_words = st.lists(st.sampled_from(WORDS), max_size=14)
any_words = st.lists(st.text(max_size=24), max_size=10)
spliced = st.tuples(st.sampled_from([t for t, _ in GOLDEN]), known_words, st.integers(0, 12)).map(
    lambda parts: [*parts[0].split(" ")[: parts[2]], *parts[1], *parts[0].split(" ")[parts[2] :]]
)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(known_words, any_words, spliced))
def test_no_argv_raises_and_none_is_two_components(argv: list[str]) -> None:
    found = claims(CATALOG, argv)
    assert len(found) <= 1, joined(argv)
    assert component_of_process(CATALOG, "", argv) == next(iter(found), "")


@settings(max_examples=300, deadline=None)
@given(known_words)
def test_behind_a_program_that_is_none_of_ours_everything_is_just_words(words: list[str]) -> None:
    for program in ("grep", "/usr/bin/vim", "tail", "less", "sudo", "-bash"):
        assert claims(CATALOG, [program, *words]) == frozenset(), words
