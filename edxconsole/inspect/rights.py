"""The commands inspectors run through sudo, for `edxconsole sudoers`: exactly these, no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edxconsole.catalog.model import Component
from edxconsole.inspect import reads
from edxconsole.inspect.app_settings import EDXAPP, EDXAPP_OLD, READER, paths_of
from edxconsole.inspect.drift_facts import PARSED
from edxconsole.inspect.meilisearch import TUTOR_ROOT
from edxconsole.inspect.sight import FILE_LIMIT

HEAD = "/usr/bin/head"


@dataclass(frozen=True, slots=True)
class Right:
    """One command as one user."""

    user: str
    argv: tuple[str, ...]
    secret: bool = False
    """what it prints holds a password"""


def rights_of(component: Component) -> Iterator[Right]:
    """What the inspector of a component asks sudo for, on a host as its packages lay it out."""
    match component.id:
        case "nginx":
            yield Right("root", (reads.NGINX[0], *reads.NGINX_DUMP))
        case "lms" | "cms" | "xqueue":
            user = component.user[0] if component.user else "www-data"
            for path in (c for c in component.configs if c.endswith("_gunicorn.py")):
                yield Right(user, _head(path))
            yield from _settings_of(component)
        case "redis":
            for path in (c for c in component.configs if c.endswith(".conf")):
                yield Right("root", _head(path), secret=True)
        case "edxapp_worker" | "ecomworker" | "ida_worker":
            apps = _settings(paths_of(component.id, component.configs))
            yield from dict.fromkeys((*apps, *_settings_of(component)))
        case "mongodb":
            yield from dict.fromkeys((*_settings(EDXAPP), *_settings_of(component)))
        case "meilisearch":
            yield Right("root", _head(f"/root/{TUTOR_ROOT}"), secret=True)
        case "rabbitmq":
            listing = (reads.RABBIT_VHOSTS, reads.rabbit_queues("/"), reads.RABBIT_CONNECTIONS)
            for words in (reads.RABBIT_STATUS, reads.RABBIT_OLD_STATUS, *listing):
                yield Right("root", (reads.RABBITMQCTL[0], *words))
        case "mysql":
            for statement in (reads.STATEMENTS, *reads.REPLICATION):
                words = reads.mysql_asks((reads.MYSQL_ACCOUNT,), statement)
                yield Right("root", (reads.MYSQL[0], *words))
        case _:
            yield from _settings_of(component)


def _settings_of(component: Component) -> Iterator[Right]:
    user = component.user[0] if component.user else "www-data"
    for path in (c for c in component.configs if c.endswith(PARSED)):
        yield Right(user, _head(path), secret=True)


def _settings(paths: Iterable[Iterable[str]]) -> Iterator[Right]:
    """The files in which applications say where their brokers and databases are."""
    for files in (*paths, *(EDXAPP_OLD if paths == EDXAPP else ())):
        for path in files:
            yield Right(READER, _head(path), secret=True)


def _head(path: str) -> tuple[str, ...]:
    return (HEAD, "-c", str(FILE_LIMIT + 1), "--", path)
