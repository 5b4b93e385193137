"""The text of a component's configuration file as a tree: JSON, YAML, or a shell's exports.

Read as the programs read it: YAML is YAML 1.1, as PyYAML has it. The text is hostile and full of secrets:
size, depth and the growth of aliases are bounded, and no error says a word of what is in it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

import yaml
from yaml.constructor import SafeConstructor

from edxconsole.errors import NotUnderstood

MAX_CHARACTERS = 1 << 20
"""those of a large installation have 50,000"""
MAX_DEPTH = 64
MAX_VALUES = 50_000

_LONGEST_PLAIN = 400
"""characters of a number or date; what is longer is text, as its arithmetic would not end"""
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]:,\n]', re.DOTALL)
_EXPORT = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w{0,99})=(.*)")
_YAML = "tag:yaml.org,2002:"
_PLAIN = frozenset({_YAML + kind for kind in ("bool", "int", "float", "null")})
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_config(text: str, path: str) -> dict[str, object]:
    """The settings that a configuration file holds, nested as it nests them.

    JSON where the file's name or its first character says so, exports where its name ends in `_env`,
    else YAML. Dates and other rare YAML types stay text; keys are text.

    Raises NotUnderstood, with the line where there is one: broken syntax, a key given twice, too large,
    too deep, no mapping. Its sentence, and the chain of what caused it, hold nothing of the text.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        raise NotUnderstood(f"{path} is larger than {MAX_CHARACTERS >> 20} MiB")
    if "\0" in text:
        raise NotUnderstood(f"{path} is binary")
    if not text.strip():
        raise NotUnderstood(f"{path} is empty")
    if path.endswith("_env"):
        return dict(read_exports(text, path))
    tree = _json(text, path) if _is_json(text, path) else _yaml(text, path)
    if not isinstance(tree, dict):
        raise NotUnderstood(f"{path} holds no mapping of settings")
    return tree


def _is_json(text: str, path: str) -> bool:
    if path.endswith((".yml", ".yaml")):
        return False
    return path.endswith(".json") or text.lstrip().startswith("{")


def _json(text: str, path: str) -> object:
    try:
        tree: object = json.loads(text)
    except json.JSONDecodeError as error:
        why = f"is not JSON from line {error.lineno} on"
    except (ValueError, RecursionError):
        why = "holds a number that is too long, or is nested too deep"
    else:
        _check_json(text, path)
        return tree
    raise _refusal(path, why)


def _check_json(text: str, path: str) -> None:
    """Depth, size and keys given twice, of which json.loads takes the last in silence, of what is JSON."""
    line, count, last, word = 1, 0, "", ""
    keys: list[set[str]] = []
    for found in _JSON_TOKEN.finditer(text):
        token = found[0]
        count += token not in "\n:"
        if token in "{[":
            keys.append(set())
        elif token in "}]" and keys:
            keys.pop()
        elif token == ":" and keys and last:
            if word in keys[-1]:
                raise _refusal(path, f"gives a key twice, again on line {line}")
            keys[-1].add(word)
        if token == "\n":
            line += 1
            continue
        last, word = (token, _unescaped(token)) if token[0] == '"' else ("", "")
        if len(keys) > MAX_DEPTH or count > 4 * MAX_VALUES:
            raise _refusal(path, f"has more than {MAX_VALUES} values or {MAX_DEPTH} levels")


def _unescaped(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    try:
        return str(json.loads(token))
    except ValueError:
        return token


def _yaml(text: str, path: str) -> object:
    try:
        _check_depth(text, path)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = f"is not YAML from line {mark.line + 1} on" if mark else "is not YAML"
    except (yaml.YAMLError, ValueError):
        why = "is not YAML"
    else:
        return None if root is None else _Builder(path).build(root, 0)
    raise _refusal(path, why)


def _check_depth(text: str, path: str) -> None:
    """Before it is composed: that recurses in C, where depth would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _refusal(path, f"is nested deeper than {MAX_DEPTH} levels")


class _Builder:
    """Nodes to plain data, as PyYAML's safe loader makes them, but bounded and without double keys."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._plain = SafeConstructor()

    def build(self, node: yaml.Node, depth: int) -> object:
        self._count += 1
        if self._count > MAX_VALUES or depth > MAX_DEPTH:
            raise _refusal(
                self._path, f"grows beyond {MAX_VALUES} values or {MAX_DEPTH} levels through its aliases"
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, depth + 1) for child in node.value]
        text = str(node.value)
        if node.tag not in _PLAIN or len(text) > _LONGEST_PLAIN:
            return text
        try:
            plain: object = self._plain.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError, IndexError, OverflowError):
            pass
        else:
            return plain
        raise _refusal(self._path, f"holds on line {_line(node)} what is not of the type it says")

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        told: dict[str, object] = {}
        merged: list[object] = []
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal(self._path, f"has on line {_line(key)} a list or mapping for a key")
            if key.tag == _YAML + "merge":
                merged += self._merged(child, depth)
                continue
            if key.value in told:
                raise _refusal(self._path, f"gives a key twice, again on line {_line(key)}")
            told[key.value] = self.build(child, depth + 1)
        for other in merged:
            if isinstance(other, dict):
                told = {**other, **told}
        return told

    def _merged(self, node: yaml.Node, depth: int) -> Iterator[object]:
        """What `<<` takes in; of several the first wins."""
        several = node.value if isinstance(node, yaml.SequenceNode) else [node]
        return (self.build(one, depth + 1) for one in several)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1 if node.start_mark else 1


def read_exports(text: str, path: str) -> dict[str, str]:
    """`NAME="value"` or `export NAME="value"` of each line that is one; a later line wins, as in a shell.

    Raises NotUnderstood.
    """
    told: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = _EXPORT.fullmatch(line)
        if found is None:
            continue
        words = _words(found[2])
        if words is None:
            raise _refusal(path, f"has an open quote on line {number}")
        told[found[1]] = words[0] if words else ""
        if len(told) > MAX_VALUES:
            raise _refusal(path, f"has more than {MAX_VALUES} values")
    return told


def _words(value: str) -> list[str] | None:
    try:
        return shlex.split(value, comments=True)
    except ValueError:
        return None


def _refusal(path: str, why: str) -> NotUnderstood:
    """Never to be raised in an `except`: it would hold on to the parsers' errors, and these to the text."""
    return NotUnderstood(f"{path} {why}")
