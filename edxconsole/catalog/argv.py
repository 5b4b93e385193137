"""What a process's argv says it runs: a program, a WSGI application, Celery queues, a Django command.

Read word by word rather than by one regular expression per component, so that the cost of a process
does not grow with the catalog, an argv has exactly one reading, and what merely mentions a name
(`grep lms.wsgi`, `vim lms_gunicorn.py`) says nothing. Pure; any words are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["program", "wsgi", "celery", "beat", "django"]

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_GUNICORN = re.compile(r"gunicorn[\d.]*")
_MODULE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?::\S*)?")
_PYTHON_VALUES = frozenset({"-W", "-X", "-Q"})
_LAUNCHERS = frozenset({"ddtrace-run", "single-beat"})
_ENDS_AT_ONCE = frozenset({"--check-config", "--print-config", "--version", "-v", "--help", "-h"})
"""of gunicorn: no server comes of it"""
_CELERY_VALUES = frozenset(
    {"-A", "--app", "-b", "--broker", "--config", "--loader", "--workdir", "--result-backend"}
)
"""options before celery's command that may have their value in the next word"""
_DJANGO_VALUES = frozenset({"--settings", "--pythonpath", "--service-variant", "--verbosity", "-v"})
_UWSGI_APPS = frozenset({"-w", "--module", "--wsgi", "--wsgi-file", "--file"})
_MAX_WRAPS = 4
"""launchers and interpreters that are looked through"""


@dataclass(frozen=True, slots=True)
class Said:
    """`keys`: what names it, the most telling first."""

    kind: Kind
    keys: tuple[str, ...]


def read_argv(words: Sequence[str]) -> Said | None:
    """What is run; None where that can't be told or no server comes of it."""
    name, rest, paths = _unwrapped(list(words))
    if not name:
        return None
    if name == "[celeryd":
        return Said("celery", tuple(_node(word.rstrip("]")) for word in rest[:1]))
    if _GUNICORN.fullmatch(name):
        return _gunicorn(rest)
    if name == "uwsgi":
        return _said("wsgi", _uwsgi(rest))
    if name == "celery":
        return _celery(rest, paths)
    if name in ("manage.py", "django-admin", "django-admin.py"):
        return _django(rest, paths)
    return Said("program", (name,))


def _unwrapped(words: list[str]) -> tuple[str, list[str], tuple[str, ...]]:
    """(program, its arguments, paths passed on the way) behind interpreters and launchers."""
    paths: list[str] = []
    for _ in range(_MAX_WRAPS):
        if not words:
            return "", [], ()
        first, rest = words[0], words[1:]
        paths.append(first)
        name = first.rpartition("/")[2].rstrip(":")
        if _PYTHON.fullmatch(name):
            words = _behind_python(rest)
        elif name == "newrelic-admin":
            words = rest[1:] if rest[:1] == ["run-program"] else _behind_python(rest[1:])
        elif name in _LAUNCHERS:
            words = rest
        else:
            return name, rest, tuple(paths)
    return "", [], ()


def _behind_python(words: list[str]) -> list[str]:
    """The script or module with its arguments; nothing for code given by -c."""
    while words and words[0].startswith("-"):
        flag = words[0]
        if flag == "-m":
            return words[1:]
        if flag == "-c" or flag == "-":
            return []
        words = words[2:] if flag in _PYTHON_VALUES else words[1:]
    return words


def _gunicorn(words: list[str]) -> Said | None:
    """The application: of a titled process in brackets, else the last word that is a module, else its
    configuration's name."""
    if words[:1] in (["master"], ["worker"]):
        return _said("wsgi", (word.strip("[]").partition(":")[0] for word in words[1:2]))
    if _ENDS_AT_ONCE & set(words):
        return None
    modules = [m[1] for word in reversed(words) if (m := _MODULE.fullmatch(word)) and not _is_file(word)]
    files = [v.rpartition("/")[2] for name, v in options(words) if name in ("-c", "--config")]
    return _said("wsgi", [*modules, *files])


def _is_file(word: str) -> bool:
    return word.endswith((".py", ".sock", ".pid", ".log"))


def _uwsgi(words: list[str]) -> Iterator[str]:
    for name, value in options(words):
        if name in _UWSGI_APPS:
            yield value.partition(":")[0].removesuffix(".py").strip("/").replace("/", ".")


def _celery(words: list[str], paths: Sequence[str], more: Sequence[str] = ()) -> Said | None:
    """A worker by its queues, its node's name and its application; a beat by its application."""
    command = _command(words, _CELERY_VALUES)
    if command == "worker":
        told = list(options(words))
        queues = [q for name, v in told if name in ("-Q", "--queues", "--queue") for q in v.split(",")]
        nodes = [_node(v) for name, v in told if name in ("-n", "--hostname")]
        return _said("celery", [*queues, *nodes, *_apps(words), *more, *paths])
    if command == "beat":
        return _said("beat", [*_apps(words), *more, *paths])
    return Said("program", ("flower",)) if command == "flower" else None


def _apps(words: list[str]) -> Iterator[str]:
    """The full name of an application before its package's: "-A registrar --app registrar.celery:app"."""
    apps = (v.partition(":")[0] for name, v in options(words) if name in ("-A", "--app", "--config"))
    yield from sorted(apps, key=lambda app: "." not in app)


def _node(name: str) -> str:
    """ "celery@edx.lms.core.default.app1:MainProcess" without what Celery adds."""
    return name.removeprefix("celery@").partition(":")[0]


def _django(words: list[str], paths: Sequence[str]) -> Said | None:
    """A management command; edX's manage.py has "lms" or "cms" before it. Celery's workers began so."""
    system: tuple[str, ...] = ()
    if words[:1] in (["lms"], ["cms"]):
        system, words = (f"{words[0]}.celery",), words[1:]
    command = _command(words, _DJANGO_VALUES)
    if command == "celery":
        return _celery(words[words.index("celery") + 1 :], paths, system)
    return Said("django", (command,)) if command else None


def _command(words: Sequence[str], values: frozenset[str]) -> str:
    """The first word that is neither an option nor the value of one."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in values
        else:
            return word
    return ""


def options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(option, value) of "--name=value", "--name value", "-nvalue" and "-n value"; "" where it has none."""
    for index, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:
            yield word[:2], word[2:].removeprefix("=")
        elif equals:
            yield name, value
        else:
            following = words[index + 1] if index + 1 < len(words) else ""
            yield name, "" if following.startswith("-") else following


def _said(kind: Kind, keys: Iterator[str] | Sequence[str]) -> Said | None:
    known = tuple(key for key in keys if key)
    return Said(kind, known) if known else None
