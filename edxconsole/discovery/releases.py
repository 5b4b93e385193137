"""Which release an installation is, from signs that each tell a range of them. Pure.

The order of releases and the signs are data: releases.yaml, and `releases` in the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edxconsole.catalog.model import Catalog, Component
from edxconsole.discovery.model import Sign
from edxconsole.errors import CatalogError
from edxconsole.yamlfile import read_model

DATA = Path(__file__).with_name("releases.yaml")
_RANGE = re.compile(r"([A-Z][a-z]+) (to|and) ([A-Z][a-z]+|later)\b")
_VERSION = re.compile(r"(\d{1,3})\.\d{1,4}(?:\.\d{1,4})?")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Span(_Model):
    """From one release to another, both included; "" is open."""

    since: str = ""
    until: str = ""


class FileSign(Span):
    """A file that only these releases have."""

    path: str


class ArgvSign(Span):
    """A command line that only these releases run."""

    pattern: str
    said: str


class Releases(_Model):
    """All of releases.yaml."""

    order: tuple[str, ...]
    last_classic: str
    tutor: dict[str, str]
    files: tuple[FileSign, ...]
    supervisor: dict[str, Span]
    argv: tuple[ArgvSign, ...]


@cache
def load_releases() -> Releases:
    """The built-in data. Raises CatalogError."""
    return read_model(DATA, Releases, CatalogError)


def sign(text: str, span: Span) -> Sign:
    """A sign of a classic install; an open end is the first or last release of that kind."""
    known = load_releases()
    return Sign(text, span.since or known.order[0], span.until or known.last_classic)


def file_signs(existing: Iterable[str]) -> Iterator[Sign]:
    """What the presence of files tells."""
    there = set(existing)
    for told in load_releases().files:
        if told.path in there:
            yield sign(f"{told.path} exists", told)


def supervisor_signs(versions: Iterable[str]) -> Iterator[Sign]:
    """What the versions of supervisord tell: each release pinned one."""
    for version in versions:
        span = load_releases().supervisor.get(version)
        if span is not None:
            yield sign(f"supervisord is {version}", span)


def argv_signs(argvs: Iterable[str]) -> Iterator[Sign]:
    """What command lines tell, space-joined. Each sign once."""
    seen = set()
    for argv in argvs:
        for told in load_releases().argv:
            if told not in seen and re.search(told.pattern, argv):
                seen.add(told)
                yield sign(told.said, told)


def name_signs(catalog: Catalog, units: Iterable[tuple[str, str]]) -> Iterator[Sign]:
    """What names tell, of (component id, name of a unit of supervisor)."""
    seen: set[Sign] = set()
    for component_id, name in units:
        component = catalog.get(component_id)
        if component is None:
            continue
        for text, said in _told_by_name(component, name):
            span = span_of(said)
            if span is not None and (made := sign(text, span)) not in seen:
                seen.add(made)
                yield made


def _told_by_name(component: Component, name: str) -> Iterator[tuple[str, str]]:
    yield from ((f"a program is called {name}", a.releases) for a in component.aliases if a.name == name)
    if component.releases:
        yield f"there is {component.title}", component.releases


def span_of(said: str) -> Span | None:
    """The releases that a catalog entry says in words: "Aspen to Ginkgo", "Lilac and later, optional"."""
    known = load_releases().order
    found = _RANGE.match(said)
    if found is None or found[1] not in known or (found[3] != "later" and found[3] not in known):
        return None
    return Span(since=found[1], until="" if found[3] == "later" else found[3])


def narrowed(signs: Sequence[Sign]) -> tuple[str, str]:
    """What all signs leave ("Koa", "Juniper to Quince"; "" when they tell nothing), and where they
    contradict each other a clause that says so."""
    known = load_releases()
    place = {name: index for index, name in enumerate(known.order)}
    last = place[known.last_classic]
    telling = [s for s in signs if s.since in place and s.until in place and place[s.since] <= last]
    since = max(telling, key=lambda s: place[s.since], default=None)
    until = min(telling, key=lambda s: place[s.until], default=None)
    if since is None or until is None:
        return "", ""
    if place[since.since] > place[until.until]:
        return "", f"{since.text} ({since.since} and later), but {until.text} (up to {until.until})"
    if place[since.since] == 0 and place[until.until] == last:
        return "", ""
    if since.since == until.until:
        return since.since, ""
    return f"{since.since} to {until.until}", ""


def tutor_release(version: str) -> str:
    """ "Verawood (Tutor 22.0.3)" from a version of Tutor; "" when it is none."""
    found = _VERSION.match(version)
    if found is None:
        return ""
    name = load_releases().tutor.get(found[1])
    return f"{name} (Tutor {found[0]})" if name else f"Tutor {found[0]}"
