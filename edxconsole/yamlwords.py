"""The words in which mistakes of a configuration file are told: what was found, what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

_EXPECTED = {
    "string_type": "text (put it in quotes)",
    "path_type": "a path",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list, e.g. [a, b]",
    "list_type": "a list, e.g. [a, b]",
    "dict_type": "a mapping of key: value",
    "model_type": "a mapping of key: value",
    "model_attributes_type": "a mapping of key: value",
}


def found(value: Any) -> str:
    """A value from the file, short and safe to print."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    text = ascii(str(value))
    return text if len(text) <= 60 else text[:57] + "..." + text[0]


def expectation(item: dict[str, Any]) -> str:
    """What a pydantic complaint wanted, in words."""
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind in ("literal_error", "enum"):
        wanted = str(context["expected"])
        options = [word.strip(" '") for word in wanted.replace(" or ", ",").split(",")]
        return wanted + suggest(str(item["input"]), options)
    if kind in ("greater_than_equal", "greater_than"):
        return f"at least {context.get('ge', context.get('gt'))}"
    if kind in ("less_than_equal", "less_than"):
        return f"at most {context.get('le', context.get('lt'))}"
    if kind == "too_short":
        return f"at least {context['min_length']} entries"
    return _EXPECTED.get(kind, str(item["msg"]))


def suggest(word: str, options: Iterable[str]) -> str:
    """`; did you mean 'address'?` when something is near, else what there is, else nothing."""
    known = list(options)
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    if 0 < len(known) <= 16:
        return f"; known: {', '.join(known)}"
    return ""
