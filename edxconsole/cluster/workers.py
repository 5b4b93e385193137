"""How many workers a component should have, and how many it has."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from edxconsole.cluster.model import Process

ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


@lru_cache(maxsize=256)
def expected_workers(expression: str, cores: int) -> int | None:
    """The value of an expression like "4*cores" or "max(2, cores)"; None when it can't be told."""
    try:
        value = _value(ast.parse(expression, mode="eval").body, cores)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None
    return int(value) if 0 <= value <= 10_000 else None


def workers_of_units(pattern: str, names: Iterable[str]) -> int | None:
    """The sum of the numbers that the names of units hold; None where none does."""
    found = [int(m[1]) for name in names if (m := re.search(pattern, name)) and m[1] and m[1].isdecimal()]
    return min(sum(found), 10_000) if found else None


def _value(node: ast.expr, cores: int) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id="cores"):
            return float(cores)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            return ARITHMETIC[type(op)](_value(left, cores), _value(right, cores))
        case ast.Call(func=ast.Name(id="max" | "min" as name), args=args, keywords=[]) if args:
            values = [_value(a, cores) for a in args]
            return max(values) if name == "max" else min(values)
    raise ValueError(expression_problem(node))


def expression_problem(node: ast.expr) -> str:
    """What is wrong with a node that no worker expression may have."""
    return f"{ast.unparse(node)} is not arithmetic on cores"


def count_workers(processes: Iterable[Process]) -> int:
    """Processes of a component whose parent is of it too: children of gunicorn, celery, nginx masters.

    A celery worker that was told to do its tasks itself has no children, and is the one.
    """
    known = {p.pid: p for p in processes}
    return sum(p.ppid in known or _alone(p.argv) for p in known.values())


def _alone(argv: Sequence[str]) -> bool:
    """ "celery worker --pool=solo", "celery worker -P solo" """
    pairs = zip(argv, (*argv[1:], ""), strict=True)
    return "worker" in argv and any(
        word == "--pool=solo" or (word in ("-P", "--pool") and value == "solo") for word, value in pairs
    )
