"""Text that came from a host, made fit to be shown or printed. The one place that decides how."""

from __future__ import annotations

import re

LINE_LIMIT = 300
MASK = "***"

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# C0 but tab and newline, DEL, C1, zero-width and bidi marks, line separators, surrogates, BOM.
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@'\"]{0,500}:[^\s/'\"]{0,500}@", re.IGNORECASE)
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


def clean_text(text: str) -> str:
    """`text` without escape sequences, control, C1 or bidi characters; tabs and newlines stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def clean_line(text: str, limit: int = LINE_LIMIT) -> str:
    """One printable line of at most `limit` characters, cut with an ellipsis."""
    line = " ".join(clean_text(text[: limit * 8]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def mask_text(text: str) -> str:
    """User and password taken out of URLs."""
    return _USERINFO.sub(rf"\1{MASK}@", text) if "://" in text else text


def last_lines(data: bytes, count: int = 3, limit: int = LINE_LIMIT) -> str:
    """The last non-empty lines of a log's tail, cleaned and joined by " | "."""
    lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(clean_line(line, limit) for line in lines[-count:])
