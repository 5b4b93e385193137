"""Whole numbers as hosts write them."""

from __future__ import annotations


def natural(text: str, digits: int = 19) -> int | None:
    """The number that `text` writes in 1 to `digits` digits of ASCII; None for anything else.

    `str.isdigit` is no guard for `int`: it is true of a superscript two, at which `int` raises, and of more
    digits than `int` takes (4,300, `sys.set_int_max_str_digits`).
    """
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        return None
    return int(text)
