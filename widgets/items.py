"""Things that a cursor can be on, of as many lines as each needs. Pure; drawing is item_view.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from widgets import detail_view
from widgets.ink import Role
from widgets.match import Match

Runs = tuple[tuple[str, Role], ...]
Said = detail_view.Fact


@dataclass(frozen=True, slots=True)
class Item:
    """What the cursor can be on: its lines, its whole text, and where that was read."""

    key: str
    """the same after asking again, as long as the thing is there"""
    lines: tuple[Runs, ...]
    search: str
    told: tuple[Said, ...]
    copied: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines above some items, which go when none of these passes the filter; and a line below them."""

    head: tuple[Runs, ...]
    items: tuple[Item, ...] = ()
    foot: tuple[Runs, ...] = ()
    bare: bool = False
    """shown without items, too, when nothing is filtered"""


def chosen(all_blocks: Iterable[Block], match: Match) -> Iterator[tuple[Runs, Item | None]]:
    """The lines that the filter leaves, each with the item it belongs to."""
    for block in all_blocks:
        items = [i for i in block.items if match(i.search)] if match else block.items
        if not items and (match or not block.bare):
            continue
        yield from ((line, None) for line in block.head)
        yield from ((line, item) for item in items for line in item.lines)
        if not match:
            yield from ((line, None) for line in block.foot)
