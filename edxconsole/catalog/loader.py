"""The catalog: built-in component files, and the operator's own that add to or override them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edxconsole.catalog.builtin import BUILT_IN
from edxconsole.catalog.matching import KINDS
from edxconsole.catalog.model import Catalog, Component, TutorSpec, gunicorn_master
from edxconsole.errors import CatalogError
from edxconsole.yamlfile import Document, Key, read_yaml, validate
from edxconsole.yamlwords import found, suggest

COMPONENT_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_FILES = 500


def load_catalog(extra: Path | None = None) -> Catalog:
    """All components in display order.

    Args:
        extra: a component file, or a directory of them. A file whose `id` is built in replaces
            the top-level keys it gives and leaves the others.

    Raises CatalogError whose cause has one line per mistake: file, line, key, found, expected.
    """
    documents = [_read(path) for path in sorted(BUILT_IN.glob("*.yaml"))]
    documents += [_read(path) for path in _extra_files(extra)]
    components: dict[str, Component] = {}
    raw: dict[str, dict[str, Any]] = {}
    origin: dict[str, Document] = {}
    for document in documents:
        component = _component(document, raw)
        if component is not None:
            components[component.id] = component
            origin[component.id] = document
    for component in components.values():
        _check_depends(origin[component.id], component, components)
    for component_id, key, text in _claimed_twice(components.values()):
        origin[component_id].report(key, text)
    _raise_all(documents)
    ordered = sorted(components.values(), key=lambda c: (c.display_order, c.id))
    return Catalog(components={c.id: c for c in ordered})


def _read(path: Path) -> Document:
    document = read_yaml(path)
    if document.data is not None and not isinstance(document.data, dict):
        document.report((), f"found {found(document.data)}, expected a mapping that begins with id:")
        document.data = None
    return document


def _extra_files(extra: Path | None) -> list[Path]:
    if extra is None:
        return []
    if extra.is_dir():
        files = sorted([*extra.glob("*.yaml"), *extra.glob("*.yml")])
        if len(files) > MAX_FILES:
            raise CatalogError(f"{extra}: holds more than {MAX_FILES} component files")
        return files
    if not extra.exists():
        raise CatalogError(f"{extra}: no such file or directory of components", remedy="check catalog:")
    return [extra]


def _component(document: Document, raw: dict[str, dict[str, Any]]) -> Component | None:
    """One file as a Component, over the same id read before; problems stay in the document."""
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("id"), str):
        data = document.data = raw.get(data["id"], {}) | data
        raw[data["id"]] = data
    component = validate(document, Component)
    if component is not None:
        for key, text in _mistakes(component):
            document.report(key, text)
    return component


def _mistakes(component: Component) -> Iterable[tuple[Key, str]]:
    """What the types alone can't tell."""
    if not COMPONENT_ID.fullmatch(component.id):
        yield ("id",), f"found {found(component.id)}, expected small letters, digits and '_'"
    yield from _bad_patterns(component)
    for index, listener in enumerate(component.listeners):
        if (listener.port is None) == (listener.unix is None):
            yield ("listeners", index), "expected either port or unix"
        if listener.port is not None and not 0 < listener.port < 65536:
            yield ("listeners", index, "port"), f"found {found(listener.port)}, expected 1 to 65535"
    for index, check in enumerate(component.health):
        if check.kind == "absent":
            if not check.path.startswith("/") or check.path == "/":
                yield ("health", index, "path"), f"found {found(check.path)}, expected the path of a file"
        elif check.port is None and check.unix is None and check.kind not in ("nginx", "tls", "mysql-login"):
            yield ("health", index), f"a check of kind {check.kind} needs port or unix"
    yield from _bad_workers(component)
    yield from _bad_tutor(component.tutor)
    for index, log in enumerate(component.logs):
        if not log.path.startswith("/"):
            yield ("logs", index, "path"), f"found {found(log.path)}, expected an absolute path"
    for verb in ("start", "stop", "restart", "reload"):
        action = getattr(component.actions, verb)
        if action is not None and action.method == "hup-master" and component.signature.master is None:
            yield ("actions", verb, "method"), "hup-master needs signature.master"


def _bad_patterns(component: Component) -> Iterable[tuple[Key, str]]:
    patterns: list[tuple[Key, str]] = [
        (("signature", "argv", i), text) for i, text in enumerate(component.signature.argv)
    ]
    master = component.signature.master
    if master is not None and master != gunicorn_master(component.signature.wsgi):
        patterns.append((("signature", "master"), master))
    for key, text in patterns:
        try:
            re.compile(text)
        except re.error as error:
            yield key, f"{found(text)} is no regular expression: {error}"


def _bad_workers(component: Component) -> Iterable[tuple[Key, str]]:
    workers = component.workers
    if workers is None:
        return
    if bool(workers.expression) == bool(workers.units):
        yield ("workers",), "expected either expression or units"
    text = workers.units
    try:
        if text and re.compile(text).groups != 1:
            yield ("workers", "units"), f"found {found(text)}, expected one group around the number"
    except re.error as error:
        yield ("workers", "units"), f"{found(text)} is no regular expression: {error}"


def _bad_tutor(spec: TutorSpec | None) -> Iterable[tuple[Key, str]]:
    if spec is None:
        return
    for index, port in enumerate(spec.ports):
        if not 0 < port < 65536:
            yield ("tutor", "ports", index), f"found {found(port)}, expected 1 to 65535"
    for index, log in enumerate(spec.logs):
        if log.path.startswith("/"):
            yield ("tutor", "logs", index, "path"), f"found {found(log.path)}, expected it below Tutor's root"
    for index, check in enumerate(spec.health):
        if check.port not in spec.ports:
            yield ("tutor", "health", index, "port"), f"found {found(check.port)}, expected one of ports"


def _check_depends(document: Document, component: Component, known: dict[str, Component]) -> None:
    named: list[tuple[Key, tuple[str, ...]]] = [
        (("depends",), component.depends),
        (("uses",), component.uses),
    ]
    if component.tutor is not None:
        named.append((("tutor", "depends"), component.tutor.depends))
    for key, others in named:
        for index, other in enumerate(others):
            if other not in known:
                text = f"there is no component {found(other)}{suggest(other, sorted(known))}"
                document.report((*key, index), text)
            elif other == component.id:
                document.report((*key, index), "a component can't depend on itself")


def _claimed_twice(components: Iterable[Component]) -> Iterable[tuple[str, Key, str]]:
    """(component, key, what is wrong) of every name in a signature that means another one already."""
    owner: dict[tuple[str, str], str] = {}
    for component in components:
        for kind in KINDS:
            for index, name in enumerate(getattr(component.signature, kind)):
                first = owner.setdefault((kind, name), component.id)
                if first != component.id:
                    yield component.id, ("signature", kind, index), f"{found(name)} already means {first}"


def _raise_all(documents: list[Document]) -> None:
    causes = []
    for document in documents:
        try:
            document.raise_problems(CatalogError)
        except CatalogError as error:
            causes.append(error.cause)
    if causes:
        raise CatalogError("\n".join(causes))
