"""A long line in pieces, each as wide as there is room."""

from __future__ import annotations

from rich.cells import chop_cells

from widgets.clean import clip


def pieces(text: str, room: int, most: int) -> list[str]:
    """At least one piece and at most `most`; what does not fit even so is cut with an ellipsis."""
    room, most = max(1, room), max(1, most)
    if text.isascii():
        parts = [text[at : at + room] for at in range(0, len(text), room)] or [""]
    else:
        parts = chop_cells(text, room) or [""]
    if len(parts) > most:
        parts = [*parts[: most - 1], clip(parts[most - 1] + parts[most], room)]
    return parts
