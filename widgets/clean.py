"""What a host sent, made fit for a terminal: the one boundary that remote text crosses."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, set_cell_size

_SGR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
"""colour only: what celery or supervisord colour their own lines with; dropped, it says nothing"""

_ODD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""controls, C1, zero-width and bidi marks, line separators, lone surrogates, tags"""

_ASCII = str.maketrans(
    {
        "●": "+", "◐": "%", "✗": "X", "○": "o", "◌": "~", "⊘": "#", "≈": "~", "◆": "*", "▌": "|", "▎": ":",
        "━": "=", "─": "-", "│": "|", "┃": "#", "›": ">", "·": ".", "…": "~", "×": "x", "✓": "v", "→": ">",
        "↑": "^", "↓": "v", "—": "-", "–": "-", "▸": ">", "‖": "=", "⏎": "<",
    }
)  # fmt: skip


def clean(text: str) -> str:
    """One line without anything a terminal would obey: controls, C1, bidi and lone surrogates shown.

    Tabs become spaces; colour sequences vanish; every other escape stays readable as its letters.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\x1b" in text:
        text = _SGR.sub("", text)
    if "\t" in text:
        text = text.expandtabs(8)
    return _ODD.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    """A control by its picture, anything else by the sign for what can't be shown."""
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def to_ascii(text: str) -> str:
    """For terminals that know no Unicode: our own signs by their stand-ins, the rest by "?"."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", text.translate(_ASCII))
    return "".join(c if c.isascii() else "" if unicodedata.combining(c) else "?" for c in plain)


def clip(text: str, width: int) -> str:
    """At most `width` cells; a cut is shown by an ellipsis."""
    if text.isascii():
        if len(text) <= width:
            return text
        return text[: width - 1] + "…" if width > 0 else ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def clip_start(text: str, width: int) -> str:
    """At most `width` cells of the end: of a path the last part tells most."""
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) >= width:
        text = text[1:]
    return "…" + text if width > 0 else ""


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells, cut or filled with blanks; `right` aligns to the right."""
    text = clip(text, width)
    blank = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return blank + text if right else text + blank
