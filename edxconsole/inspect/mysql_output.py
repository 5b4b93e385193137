"""Reads what the `mysql` client prints with --batch: tab-separated, one result after the other."""

from __future__ import annotations

from edxconsole.errors import NotUnderstood

MARK = "EDXCONSOLE"
_ESCAPES = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}

Row = dict[str, str | None]


def read_results(text: str) -> dict[str, list[Row]]:
    """Name -> rows, for statements that each follow a `SELECT 'MARK' , 'name'` of ours.

    Raises NotUnderstood when there is none.
    """
    found: dict[str, list[Row]] = {}
    name, header, skip = "", [""], False
    for line in text.split("\n"):
        cells = line.split("\t")
        if cells[0] == MARK and len(cells) == 2 and skip:
            name, header, skip = cells[1], [], False
            found[name] = []
        elif cells[0] == MARK and len(cells) == 2:
            skip = True
        elif not line or not name:
            continue
        elif not header:
            header = cells
        elif len(cells) == len(header):
            found[name].append(dict(zip(header, map(_cell, cells), strict=True)))
    if not found:
        raise NotUnderstood("mysql printed nothing of what was asked")
    return found


def _cell(text: str) -> str | None:
    """NULL is printed as the word."""
    if text == "NULL":
        return None
    if "\\" not in text:
        return text
    head, *rest = text.split("\\\\")
    return "\\".join(_unescaped(part) for part in (head, *rest))


def _unescaped(text: str) -> str:
    first, *rest = text.split("\\")
    return first + "".join(_ESCAPES.get(part[:1], part[:1]) + part[1:] for part in rest)


def read_vertical(text: str) -> list[Row]:
    """Rows of --vertical output, as replication states are printed."""
    rows: list[Row] = []
    for line in text.splitlines():
        if line.startswith("***") and ". row ***" in line:
            rows.append({})
        elif rows:
            key, colon, value = line.partition(":")
            if colon and key.strip().replace("_", "").isalnum():
                rows[-1].setdefault(key.strip(), value.strip() or None)
    return rows
