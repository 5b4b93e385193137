"""What a host sent, made fit for a terminal: the one boundary that remote text crosses."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, set_cell_size

_SGR = re.compile(r"\x1b\[[0-9;:]{0,64}m")
"""colour only: what celery or supervisord colour their own lines with; dropped, it says nothing"""

_VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\ufffd"),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    **dict.fromkeys(
        (0x61C, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2060, 0xFEFF), "\ufffd"
    ),
    **dict.fromkeys(range(0x202A, 0x202F), "\ufffd"),
    **dict.fromkeys(range(0x2066, 0x206A), "\ufffd"),
    **dict.fromkeys(range(0xE0000, 0xE0080), "\ufffd"),
}
_ODD = re.compile("[" + "".join(re.escape(chr(code)) for code in sorted(_VISIBLE)) + "]")

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
    return _ODD.sub(lambda match: _VISIBLE[ord(match[0])], text)


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
