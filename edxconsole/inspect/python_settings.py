"""Django settings that a Python file assigns, read as text: nothing of it is run.

Tutor has Mongo's, the caches' and Meilisearch's endpoints in `settings/{lms,cms}/production.py` only
(domain.md section 8). What is computed in ways beyond literals and look-ups is counted, and not known.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edxconsole.errors import NotUnderstood
from edxconsole.inspect.config_text import MAX_DEPTH, MAX_VALUES, parse_config

_SETTING = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_LONGEST_SUM = 500
"""characters of each side of a sum"""


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a settings file assigns."""

    tree: Mapping[str, object] = field(repr=False)
    replaced: frozenset[str]
    """settings that are known as a whole, whatever was there before; of others only keys were set"""
    computed: frozenset[str]
    """settings that are set, and not known"""


class _Unknown(Exception):
    """No literal."""


def settings_in(text: str, path: str, before: Mapping[str, object]) -> Assigned:
    """Those of any settings file, by what its name says it is. Raises NotUnderstood."""
    if path.endswith(".py"):
        return read_assigned(text, path, before)
    return Assigned(parse_config(text, path), frozenset(), frozenset())


def read_assigned(text: str, path: str, before: Mapping[str, object]) -> Assigned:
    """Its top-level assignments, in their order.

    Args:
        before: the settings that the file starts from, which it also knows as ENV_TOKENS.

    Raises NotUnderstood, of whose sentence nothing is of the text.
    """
    tree = _parsed(text)
    if tree is None:
        raise NotUnderstood(f"{path} is not Python that can be read")
    reader = _Reader(before)
    if not all(reader.take(node) for node in tree.body):
        raise NotUnderstood(f"{path} grows beyond {MAX_VALUES} values")
    shown = {name: value for name, value in reader.told.items() if _SETTING.fullmatch(name)}
    computed = frozenset(name for name in reader.computed if _SETTING.fullmatch(name))
    return Assigned(shown, frozenset(reader.replaced & shown.keys()), computed)


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Reader:
    """Statement by statement."""

    def __init__(self, before: Mapping[str, object]) -> None:
        self._before: dict[str, object] = {**before, "ENV_TOKENS": before}
        self._count = 0
        self.told: dict[str, object] = {}
        self.replaced: set[str] = set()
        self.computed: set[str] = set()

    def take(self, node: ast.stmt) -> bool:
        """False when it has grown too large."""
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=place, attr=method), args=args)):
                self._call(place, method, args)
            case ast.Import() | ast.ImportFrom() | ast.Expr():
                pass
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self._forget(name)
            case _:
                self._forget_all(node)
        return self._count <= MAX_VALUES

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        try:
            name, keys = _place(target)
        except _Unknown:
            self._forget_all(target)
            return
        try:
            found = self._value(value, 0)
        except _Unknown:
            if keys:
                self._cut(name, keys)
            else:
                self._forget(name)
            return
        if not keys:
            self.told[name] = found
            self.replaced.add(name)
            self.computed.discard(name)
            return
        self._put(name, keys, found)

    def _put(self, name: str, keys: Sequence[str], value: object) -> None:
        at = self.told.setdefault(name, {})
        for key in keys[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at[keys[-1]] = value
        else:
            self._forget(name)

    def _cut(self, name: str, keys: Sequence[str]) -> None:
        """A key got a value that is not known."""
        at = self.told.get(name)
        for key in keys[:-1]:
            at = at.get(key) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at.pop(keys[-1], None)
        self.computed.add(name)

    def _call(self, place: ast.expr, method: str, args: Sequence[ast.expr]) -> None:
        """A list that is appended to is known; what else a method does to a setting is not."""
        try:
            name, keys = _place(place)
        except _Unknown:
            return
        known = self.told.get(name)
        if name not in self.told and not _SETTING.fullmatch(name):
            return
        if method == "append" and not keys and isinstance(known, list) and len(args) == 1:
            try:
                known.append(self._value(args[0], 0))
            except _Unknown:
                self._forget(name)
            return
        self._forget(name)

    def _forget(self, name: str) -> None:
        self.told.pop(name, None)
        self.replaced.discard(name)
        self.computed.add(name)

    def _forget_all(self, node: ast.AST) -> None:
        """All that a statement may change, of which it is not known whether it is run."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name | ast.Subscript) and isinstance(inner.ctx, ast.Store | ast.Del):
                base: ast.expr = inner
                while isinstance(base, ast.Subscript | ast.Attribute):
                    base = base.value
                if isinstance(base, ast.Name):
                    self._forget(base.id)

    def _value(self, node: ast.expr, depth: int) -> object:
        """Raises _Unknown for anything but literals, and look-ups of what is known."""
        self._grow(depth)
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as plain):
                return plain
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Dict(keys=keys, values=values):
                return self._mapping(keys, values, depth)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self._value(part, depth + 1) for part in parts]
            case ast.Name(id=name):
                return self._copied(self._known(name), depth)
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() as key)):
                return self._looked_up(inner, key, None, depth)
            case ast.Call(
                func=ast.Attribute(value=inner, attr="get"), args=[ast.Constant(value=str() as key), *other]
            ):
                return self._looked_up(inner, key, other[0] if other else None, depth)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="json"), attr="dumps"), args=[inner]):
                return self._value(inner, depth + 1)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                sides = [self._value(side, depth + 1) for side in (left, right)]
                if all(isinstance(side, str) and len(side) <= _LONGEST_SUM for side in sides):
                    return "".join(str(side) for side in sides)
        raise _Unknown

    def _mapping(
        self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], depth: int
    ) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in zip(keys, values, strict=True):
            if not (isinstance(key, ast.Constant) and isinstance(key.value, str | int)):
                raise _Unknown
            try:
                found[str(key.value)] = self._value(value, depth + 1)
            except _Unknown:
                found.pop(str(key.value), None)
        return found

    def _looked_up(self, node: ast.expr, key: str, other: ast.expr | None, depth: int) -> object:
        name, keys = _place(node)
        at = self._known(name)
        for step in keys:
            at = at.get(step) if isinstance(at, Mapping) else None
        if isinstance(at, Mapping) and key in at:
            return self._copied(at[key], depth)
        if isinstance(at, Mapping) and other is not None:
            return self._value(other, depth + 1)
        raise _Unknown

    def _known(self, name: str) -> object:
        if name in self.replaced:
            return self.told[name]
        if name in self._before and name not in self.told and name not in self.computed:
            return self._before[name]
        raise _Unknown

    def _copied(self, value: object, depth: int) -> object:
        """A copy, as what is named twice would otherwise grow without bounds when it is shown."""
        self._grow(depth)
        if isinstance(value, Mapping):
            return {key: self._copied(child, depth + 1) for key, child in value.items()}
        if isinstance(value, list):
            return [self._copied(child, depth + 1) for child in value]
        self._count += len(value) // 100 if isinstance(value, str) else 0
        return value

    def _grow(self, depth: int) -> None:
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise _Unknown


def _place(node: ast.expr) -> tuple[str, tuple[str, ...]]:
    """NAME["a"]["b"] as the name and its keys. Raises _Unknown."""
    keys: list[str] = []
    while isinstance(node, ast.Subscript) and len(keys) <= MAX_DEPTH:
        if not (isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
            raise _Unknown
        keys.append(node.slice.value)
        node = node.value
    if not isinstance(node, ast.Name) or len(keys) > MAX_DEPTH:
        raise _Unknown
    return node.id, tuple(reversed(keys))
