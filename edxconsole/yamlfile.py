"""Read a YAML file an operator wrote, so that every mistake is told with file, line and key.

PyYAML's safe loader parses; a pydantic model says what is allowed; this module joins the two by
the marks of the nodes. Scalars follow YAML 1.2: `no`, `on`, `010` and `22:22` are text. The file
may be hostile: size, depth and alias expansion are bounded, tags and control characters refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from edxconsole.errors import EdxconsoleError
from edxconsole.yamlwords import expectation, found, suggest

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 50_000
MAX_REPORTED = 25

Key = tuple[str | int, ...]
M = TypeVar("M", bound="BaseModel")

HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control, C1, zero-width and bidirectional characters: they could rewrite what a terminal shows."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where and what. `line` counts from 1; 0 is the file as a whole."""

    line: int
    key: Key
    text: str


@dataclass(slots=True)
class Document:
    """A parsed file: plain data, the line of every key and element, and what was wrong so far."""

    path: Path
    data: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, key: Key) -> int:
        """The line of a key, or of the nearest thing around it that has one."""
        while key not in self.lines and key:
            key = key[:-1]
        return self.lines.get(key, 1)

    def report(self, key: Key, text: str) -> None:
        """Note a mistake found by someone who knows more than the model."""
        self.problems.append(Problem(self.line_of(key), key, text))

    def raise_problems(self, error: type[EdxconsoleError], remedy: str | None = None) -> None:
        """Raise `error` with all problems in line order, one per line; return if there are none."""
        if not self.problems:
            return
        ordered = sorted(set(self.problems), key=lambda p: (p.line, len(p.key)))
        said = [self._sentence(p) for p in ordered[:MAX_REPORTED]]
        if len(ordered) > MAX_REPORTED:
            said.append(f"{self.path}: and {len(ordered) - MAX_REPORTED} more mistakes")
        raise error("\n".join(said), remedy=remedy)

    def _sentence(self, problem: Problem) -> str:
        where = f"{self.path}:{problem.line}" if problem.line else str(self.path)
        key = dotted(problem.key)
        return f"{where}: {key}: {problem.text}" if key else f"{where}: {problem.text}"


def dotted(key: Key) -> str:
    """A key path for the eye: hosts.app1.port, groups.app[2]."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + HOSTILE.sub("?", part)[:60]
    return text


def read_yaml(path: Path) -> Document:
    """Parse a file. Mistakes are collected in `Document.problems`, never raised."""
    document = Document(path)
    text = _read_text(document)
    if text is None:
        return document
    try:
        if _too_deep(text, document):
            return document
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        document.problems.append(Problem(line, (), _syntax(error)))
        return document
    except (yaml.YAMLError, ValueError) as error:
        why = HOSTILE.sub("?", str(error)).splitlines()[0]
        document.problems.append(Problem(0, (), f"is not YAML: {why}"))
        return document
    if root is not None:
        try:
            document.data = _Builder(document).build(root, ())
        except _TooMuch:
            document.problems.append(
                Problem(0, (), f"grows beyond {MAX_NODES} values or {MAX_DEPTH} levels through its aliases")
            )
    return document


def validate(document: Document, model: type[M]) -> M | None:
    """The typed form of a document; None when it has problems, which are added to it."""
    if document.data is None and not document.problems:
        document.problems.append(Problem(0, (), "is empty"))
    if document.data is None:
        return None
    from pydantic import ValidationError

    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            raw = item["loc"]
            key = tuple(p for p in raw if p != "[key]")
            document.problems.append(_translate(document, model, key, dict(item)))
        return None


def read_model(path: Path, model: type[M], error: type[EdxconsoleError]) -> M:
    """The typed form of a file that must be whole. Raises `error` with every mistake in it."""
    document = read_yaml(path)
    made = validate(document, model)
    document.raise_problems(error)
    assert made is not None, "validate() gives a reason for each None"
    return made


def _translate(document: Document, model: type[BaseModel], key: Key, item: dict[str, Any]) -> Problem:
    """One pydantic complaint in an operator's words."""
    line, kind = document.line_of(key), item["type"]
    if kind == "extra_forbidden":
        text = f"unknown key{suggest(str(key[-1]), sorted(allowed_keys(model, key[:-1])))}"
        return Problem(line, key, text)
    if kind == "missing":
        return Problem(line, key[:-1], f"the key {key[-1]!r} is missing")
    if kind == "value_error":
        return Problem(line, key, str(item["ctx"]["error"]))
    return Problem(line, key, f"found {found(item['input'])}, expected {expectation(item)}")


def allowed_keys(model: type[BaseModel], key: Key) -> set[str]:
    """The keys a model allows at a place in the file, for suggestions."""
    schema = model.model_json_schema()
    node: Any = schema
    for part in key:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or _values(node)
    return set(_resolve(schema, node).get("properties", {}))


def _values(node: dict[str, Any]) -> Any:
    """The schema of a mapping's values, whatever its keys."""
    patterned = list(node.get("patternProperties", {}).values())
    return patterned[0] if patterned else node.get("additionalProperties") or {}


def _resolve(schema: dict[str, Any], node: Any) -> dict[str, Any]:
    for _ in range(8):
        options = [o for o in node.get("anyOf", ()) if o.get("type") != "null"]
        if options:
            node = options[0]
        elif "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        else:
            break
    return dict(node)


def _read_text(document: Document) -> str | None:
    """The text, or None with the reason noted. Never blocks on a pipe, never reads without bound."""
    path, why = document.path, ""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            why = "is not a regular file"
        elif info.st_size > MAX_BYTES:
            why = f"is larger than {MAX_BYTES // 1024} KiB"
        else:
            with path.open("rb") as file:
                return file.read(MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 text (byte {error.start})"
    except (OSError, ValueError) as error:
        why = f"can't be read: {getattr(error, 'strerror', None) or error}"
    document.problems.append(Problem(0, (), why))
    return None


def _too_deep(text: str, document: Document) -> bool:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.problems.append(
                    Problem(_line(event), (), f"is nested deeper than {MAX_DEPTH} levels")
                )
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return False


def _line(thing: yaml.Node | yaml.Event) -> int:
    """Lines as editors count them."""
    return thing.start_mark.line + 1 if thing.start_mark else 0


def _syntax(error: yaml.MarkedYAMLError) -> str:
    parts = [p for p in (error.context, error.problem) if p]
    text = HOSTILE.sub("?", ", ".join(str(p) for p in parts))
    if "cannot start any token" in text and "\\t" in text:
        text += " (indent with spaces, not tabs)"
    return f"is not YAML here: {text}"


class _TooMuch(Exception):
    """The aliases of a document expand without bound."""


class _Builder:
    """Nodes to plain data, noting lines, duplicates, tags and hostile characters."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0

    def build(self, node: yaml.Node, key: Key) -> Any:
        self.count += 1
        if self.count > MAX_NODES or len(key) > MAX_DEPTH:
            raise _TooMuch
        self.document.lines.setdefault(key, _line(node))
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, key, "tag:yaml.org,2002:map")
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, key, "tag:yaml.org,2002:seq")
            return [self.build(child, (*key, i)) for i, child in enumerate(node.value)]
        return self._scalar(node, key)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        for name, child in self._pairs(node, key):
            where = (*key, name.value)
            line = _line(name)
            if name.value in first:
                text = f"is given twice (first on line {first[name.value]})"
                self.document.problems.append(Problem(line, where, text))
                continue
            first[name.value] = line
            self.document.lines[where] = line
            result[name.value] = self.build(child, where)
        return result

    def _pairs(self, node: yaml.MappingNode, key: Key) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The pairs whose keys are usable; the others become problems."""
        for name, child in node.value:
            why = ""
            if not isinstance(name, yaml.ScalarNode):
                why = "a list or mapping can't be a key"
            elif name.value == "<<" and not name.style:
                why = "merge keys (<<) are not supported; use defaults:"
            elif HOSTILE.search(name.value) or len(name.value) > 200:
                why = f"the key {found(name.value)} holds control characters or is too long"
            if why:
                self.document.problems.append(Problem(_line(name), key, why))
            else:
                yield name, child

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        text, tag = str(node.value), node.tag.removeprefix("tag:yaml.org,2002:")
        if HOSTILE.search(text):
            self.document.report(key, f"holds control or invisible characters: {found(text)}")
            return None
        if tag == "null":
            return None
        if tag == "bool":
            return text == "true"
        if tag == "int":
            return int(text)
        if tag == "float":
            return float(text)
        if tag != "str":
            self.document.report(key, f"the tag {found(node.tag)} is not allowed here")
        return text

    def _check_tag(self, node: yaml.Node, key: Key, usual: str) -> None:
        if node.tag != usual:
            self.document.report(key, f"the tag {found(node.tag)} is not allowed here")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml where there is one (10 times faster), with YAML 1.2's few implicit types."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null)?$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]{0,17})$"), list("-0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$"), list("-0123456789")
)
