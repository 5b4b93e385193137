"""What a gunicorn was told: its configuration file, read without running it, and its command line."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence

from edxconsole.cluster.workers import ARITHMETIC
from edxconsole.errors import NotUnderstood
from edxconsole.numerals import natural

Setting = str | int | float | bool | None

DEFAULTS: Mapping[str, Setting] = {
    "workers": 1,
    "threads": 1,
    "worker_class": "sync",
    "timeout": 30,
    "graceful_timeout": 30,
    "keepalive": 2,
    "max_requests": 0,
    "preload_app": False,
    "bind": "127.0.0.1:8000",
}
"""what is shown, and gunicorn's own value of it (gunicorn/config.py)"""

_OPTIONS = {
    "-w": "workers",
    "--workers": "workers",
    "--threads": "threads",
    "-k": "worker_class",
    "--worker-class": "worker_class",
    "-t": "timeout",
    "--timeout": "timeout",
    "--graceful-timeout": "graceful_timeout",
    "--keep-alive": "keepalive",
    "--max-requests": "max_requests",
    "-b": "bind",
    "--bind": "bind",
    "-c": "config",
    "--config": "config",
}
_CORES = ("multiprocessing.cpu_count", "cpu_count", "os.cpu_count")
_LARGEST = 1e12


def read_settings(text: str, cores: int | None) -> dict[str, Setting]:
    """The top-level assignments that are literals or arithmetic on the number of cores.

    What is computed in another way is None: it is set, but not known. Raises NotUnderstood.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotUnderstood("the gunicorn configuration is not Python that can be read") from error
    found: dict[str, Setting] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            found[name] = _value(value, found, cores, 0)
        except (ValueError, TypeError, ZeroDivisionError, OverflowError):
            found[name] = None
    return found


def _value(node: ast.expr, known: Mapping[str, Setting], cores: int | None, depth: int) -> Setting:
    """Raises ValueError for anything but plain values and arithmetic."""
    if depth > 20:
        raise ValueError("nested too deep")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as plain):
            return plain
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.Call(func=function, args=[], keywords=[]) if ast.unparse(function) in _CORES:
            if cores is None:
                raise ValueError("the number of cores is not known")
            return cores
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            sides = [_number(_value(side, known, cores, depth + 1)) for side in (left, right)]
            return _number(ARITHMETIC[type(op)](*sides))
        case ast.List(elts=parts) | ast.Tuple(elts=parts) if parts:
            return " ".join(str(_value(part, known, cores, depth + 1)) for part in parts[:8])
        case ast.Call(func=ast.Name(id="int"), args=[inner], keywords=[]):
            return int(_number(_value(inner, known, cores, depth + 1)))
    raise ValueError("not a plain value")


def _number(value: Setting) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        raise ValueError("not a number")
    return value


def of_command_line(argv: Sequence[str]) -> dict[str, Setting]:
    """The settings that the options of a command line give; `config` is the file's path."""
    found: dict[str, Setting] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--preload":
            found["preload_app"] = True
        elif name in _OPTIONS:
            found[_OPTIONS[name]] = typed(value if equals else next(words, ""))
        elif len(word) > 2 and word[:2] in _OPTIONS and not word.startswith("--"):
            found[_OPTIONS[word[:2]]] = typed(word[2:])
    return found


def typed(text: str) -> Setting:
    """A number where it is one."""
    number = natural(text, 9)
    return text if number is None else number
