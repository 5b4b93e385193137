"""The agent keeps to what every Python from 2.7 and 3.4 on understands."""

from __future__ import annotations

import ast
import re
import sys
import zlib

import pytest

from edxconsole.probe.launcher import AGENT, packed_agent, source

AGENT_SOURCE = b"".join(source(name) for name in AGENT).decode()
FORBIDDEN = {
    "os.pread(": "guard with getattr",
    "os.scandir": "3.5",
    "os.O_CLOEXEC": "guard with getattr",
    "sys.stdout.buffer": "2.7 has none",
    "int.from_bytes": "3.2",
    "shlex.quote": "3.3",
    "subprocess": "spawns",
    "selectors": "3.4",
    "asyncore": "gone in 3.12",
    "import imp": "gone in 3.12",
    "xmlrpc": "costs 30 times a regex",
    "time.monotonic(": "guard with getattr",
    ".removeprefix": "3.9",
}


def test_only_syntax_that_every_python_knows() -> None:
    tree = ast.parse(AGENT_SOURCE)
    banned = (
        ast.JoinedStr,
        ast.NamedExpr,
        ast.Match,
        ast.Nonlocal,
        ast.YieldFrom,
        ast.AnnAssign,
        ast.AsyncFunctionDef,
        ast.Await,
        ast.Starred,
        ast.MatMult,
    )
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', 0)}"
        assert not (isinstance(node, banned) and not _star_call(tree, node)), (
            f"{type(node).__name__} at {where}"
        )
        if isinstance(node, ast.FunctionDef):
            assert not [*node.args.kwonlyargs, *node.args.posonlyargs, node.returns][:-1], where
            assert node.returns is None, where
            assert not any(arg.annotation for arg in node.args.args), where
        if isinstance(node, ast.Raise):
            assert node.cause is None, where
        if isinstance(node, ast.Dict):
            assert None not in node.keys, where
        if isinstance(node, ast.ClassDef):
            assert [ast.unparse(b) for b in node.bases] == ["object"], where
            assert not node.keywords, where


def _star_call(tree: ast.AST, star: ast.AST) -> bool:
    """f(x, *rest) is old; [*a, *b] and f(*a, *b) are not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and star in node.args:
            return sum(isinstance(arg, ast.Starred) for arg in node.args) == 1 and node.args[-1] is star
    return False


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_name_that_some_python_lacks(word: str) -> None:
    assert word not in AGENT_SOURCE, FORBIDDEN[word]


def test_only_the_standard_library_and_small_files() -> None:
    imports = {n.names[0].name for n in ast.walk(ast.parse(AGENT_SOURCE)) if isinstance(n, ast.Import)}
    assert imports <= sys.stdlib_module_names
    assert all(source(name).count(b"\n") <= 650 for name in AGENT)
    assert not re.search(r"[0-9]_[0-9]", re.sub(r"'[^'\n]*'|#.*", "", AGENT_SOURCE))


def test_what_is_sent_is_the_source_without_its_words() -> None:
    tree = ast.parse(AGENT_SOURCE)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    sent = [node for part in zlib.decompress(packed_agent()).split(b"\0") for node in ast.parse(part).body]
    assert [ast.dump(node) for node in sent[:-1]] == [ast.dump(node) for node in tree.body]
    assert ast.unparse(sent[-1]) == "main()"
