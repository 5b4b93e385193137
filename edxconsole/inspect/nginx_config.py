"""Reads what `nginx -T` prints: every configuration file, as a tree with its includes in place.

crossplane, the library for this, was judged and left: it opens the files of the machine it runs on,
where we have one text from another host, and it has not been released since 2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from posixpath import dirname, join

from edxconsole.errors import NotUnderstood

MAX_DEPTH = 32
MAX_DIRECTIVES = 50_000

_FILE = re.compile(r"^# configuration file (/[^\n]{1,1000}):$", re.MULTILINE)
_TOKEN = re.compile(
    r"(?P<space>\s+|#[^\n]*)"
    r"|(?P<mark>[;{}])"
    r"""|(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<word>(?:\$\{\w{0,64}\}|\\.|[^\s;{}\\"'])(?:\$\{\w{0,64}\}|\\.|[^\s;{}\\])*)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive. `block` is None for a simple one."""

    name: str
    args: tuple[str, ...]
    file: str
    block: tuple[Directive, ...] | None = None

    def all(self, name: str) -> Iterator[Directive]:
        """Directives of that name directly in its block."""
        return (d for d in self.block or () if d.name == name)

    def walk(self) -> Iterator[Directive]:
        """Everything below it, in order."""
        stack = list(reversed(self.block or ()))
        while stack:
            found = stack.pop()
            yield found
            stack.extend(reversed(found.block or ()))


def read_dump(text: str) -> Directive:
    """The output of `nginx -T` as one directive "main" whose block is the whole configuration.

    Raises NotUnderstood.
    """
    files = split_dump(text)
    if not files:
        raise NotUnderstood("nginx -T printed no configuration file")
    trees = {path: parse(content, path) for path, content in files.items()}
    first = next(iter(files))
    budget = [MAX_DIRECTIVES]
    block = _expanded(trees[first], trees, dirname(first), budget, 0)
    return Directive("main", (), first, block)


def split_dump(text: str) -> dict[str, str]:
    """Path -> content, in the order printed; what nginx says before the first file is left out."""
    marks = list(_FILE.finditer(text))
    ends = [*(m.start() for m in marks[1:]), len(text)]
    return {m[1]: text[m.end() : end] for m, end in zip(marks, ends, strict=False)}


def parse(text: str, file: str) -> tuple[Directive, ...]:
    """One file, its includes unresolved. Raises NotUnderstood, in linear time."""
    blocks: list[list[Directive]] = [[]]
    openers: list[Directive] = []
    words: list[str] = []
    count = 0
    for kind, token in _tokens(text, file):
        if kind != "mark":
            words.append(token)
            continue
        if token == "}":
            if words or not openers:
                raise NotUnderstood(f"{file}: a }} that closes nothing")
            closed = replace(openers.pop(), block=tuple(blocks.pop()))
            blocks[-1].append(closed)
            continue
        if not words:
            raise NotUnderstood(f"{file}: a {token} without a directive")
        made = Directive(words[0], tuple(words[1:]), file)
        words, count = [], count + 1
        if count > MAX_DIRECTIVES or len(openers) >= MAX_DEPTH:
            raise NotUnderstood(f"{file}: more than {MAX_DIRECTIVES} directives, or nested too deep")
        if token == "{":
            openers.append(made)
            blocks.append([])
        else:
            blocks[-1].append(made)
    if words or openers:
        raise NotUnderstood(f"{file}: it ends within a directive")
    return tuple(blocks[0])


def _tokens(text: str, file: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotUnderstood(f"{file}: a quote or backslash without its end")
        at, kind = found.end(), found.lastgroup
        if kind == "quoted":
            yield kind, found[0][1:-1]
        elif kind is not None and kind != "space":
            yield kind, found[0]


def _expanded(
    block: tuple[Directive, ...],
    trees: Mapping[str, tuple[Directive, ...]],
    base: str,
    budget: list[int],
    depth: int,
) -> tuple[Directive, ...]:
    """The block with the files it includes in place of their `include`."""
    if depth > 2 * MAX_DEPTH:
        raise NotUnderstood("files of the configuration include each other without an end")
    done: list[Directive] = []
    for found in block:
        budget[0] -= 1
        if budget[0] < 0:
            raise NotUnderstood(f"the configuration has more than {MAX_DIRECTIVES} directives")
        if found.name == "include" and found.args:
            pattern = join(base, found.args[0])
            for path in sorted(p for p in trees if p == pattern or fnmatchcase(p, pattern)):
                done += _expanded(trees[path], trees, base, budget, depth + 1)
        elif found.block is not None:
            inner = _expanded(found.block, trees, base, budget, depth + 1)
            done.append(replace(found, block=inner))
        else:
            done.append(found)
    return tuple(done)
