"""Reads Erlang terms as `rabbitmqctl` before 3.8 prints them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edxconsole.errors import NotUnderstood

Term = str | int | float | list["Term"] | tuple["Term", ...]

MAX_DEPTH = 64
_TOKEN = re.compile(
    r"(?P<space>[\s,]+|%[^\n]*)"
    r"|(?P<open>[\[{]|<<)|(?P<close>[\]}]|>>)"
    r'|"(?P<string>(?:[^"\\]|\\.)*)"'
    r"|'(?P<quoted>(?:[^'\\]|\\.)*)'"
    r"|(?P<number>-?\d{1,40}(?:\.\d{1,40}(?:e[+-]?\d{1,3})?)?)"
    r"|(?P<atom>[a-z][\w@.]*)"
    r"|(?P<odd><[\d.]{1,60}>|#[A-Z][\w<>.]{0,80}|\.)",
    re.DOTALL,
)
_CLOSES = {"[": "]", "{": "}", "<<": ">>"}


def read_term(text: str) -> Term:
    """The first list or tuple in `text`; what stands before it ("Status of node ...") is left out.

    Raises NotUnderstood, in linear time.
    """
    begin = re.search(r"^[\[{]", text, re.MULTILINE)
    if begin is None:
        raise NotUnderstood("no Erlang terms were printed")
    stack: list[tuple[str, list[Term]]] = []
    for kind, token in _tokens(text, begin.start()):
        if kind == "open":
            if len(stack) >= MAX_DEPTH:
                raise NotUnderstood("Erlang terms that are nested too deep")
            stack.append((token, []))
        elif kind == "close":
            opener, items = stack.pop()
            if _CLOSES[opener] != token:
                raise NotUnderstood("Erlang terms whose brackets do not match")
            made = _made(opener, items)
            if not stack:
                return made
            stack[-1][1].append(made)
        else:
            stack[-1][1].append(_plain(kind, token))
    raise NotUnderstood("Erlang terms that do not end")


def _made(opener: str, items: list[Term]) -> Term:
    if opener == "[":
        return items
    if opener == "{":
        return tuple(items)
    return "".join(item for item in items if isinstance(item, str))


def _plain(kind: str, token: str) -> Term:
    if kind == "number":
        return float(token) if "." in token else int(token)
    if kind in ("string", "quoted"):
        return re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), token, flags=re.DOTALL)
    return token


def _tokens(text: str, at: int) -> Iterator[tuple[str, str]]:
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise NotUnderstood("what was printed is no Erlang term")
        at = found.end()
        if found.lastgroup != "space":
            yield found.lastgroup, found[found.lastgroup]


def as_mapping(term: object) -> dict[str, object]:
    """A list of {key, value} as a mapping; {} for anything else."""
    if not isinstance(term, list):
        return {}
    pairs = (item for item in term if isinstance(item, tuple) and len(item) == 2)
    return {key: value for key, value in pairs if isinstance(key, str)}
