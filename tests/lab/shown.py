"""The console itself on test hosts, under Pilot: what its Component screen shows, as an operator reads it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from edxconsole.catalog.loader import load_catalog
from edxconsole.engine import Engine, EngineThread
from edxconsole.inventory.model import Inventory
from screens.bridge import Bridge
from screens.component import ComponentScreen
from screens.console import EdxConsole
from screens.place import Place, Visit
from widgets.cells import GAP
from widgets.clock import Clock
from widgets.detail_view import DetailView
from widgets.instance_table import InstanceTable
from widgets.row_table import GUTTER

SIZE = (200, 50)


@contextlib.asynccontextmanager
async def console(inventory: Inventory, directory: Path) -> AsyncIterator[Pilot[Any]]:
    """The console watching these hosts, on a terminal of 200 by 50. `directory` takes the journal."""
    catalog = await asyncio.to_thread(load_catalog)
    thread = EngineThread(lambda: Engine(inventory, catalog, journal=directory / "journal"))
    bridge = Bridge(thread, inventory, Clock())
    try:
        async with EdxConsole(bridge).run_test(size=SIZE) as pilot:
            yield pilot
    finally:
        await asyncio.to_thread(bridge.close)


async def rows(pilot: Pilot[Any], component: str) -> dict[str, dict[str, str]]:
    """The Component screen of a component: host -> column title -> the text that is to be seen there."""
    screen = await _opened(pilot, component)
    table = screen.query_one(InstanceTable)
    width, height = table.size
    lines = ["".join(s.text for s in table._draw(y, width)) for y in range(height)]
    found = {}
    for line in lines[2 : 2 + len(table.rows)]:
        cells, at = {}, GUTTER
        for index, wide in table.shown_columns(width):
            cells[table.columns[index].title.strip()] = line[at : at + wide].strip()
            at += wide + GAP
        found[cells["host"].split()[-1]] = cells
    return found


async def known(pilot: Pilot[Any], component: str, host: str) -> dict[str, str]:
    """What is known of one of them, by label: the pane below the table, its paragraphs whole."""
    screen = await _opened(pilot, component)
    screen.query_one(InstanceTable).move_to(host)
    await pilot.pause()
    told: dict[str, str] = {}
    label = ""
    for fact in screen.query_one(DetailView)._facts:
        label = fact.label or label
        told[label] = f"{told[label]}\n{fact.text}" if label in told else fact.text
    return told


async def _opened(pilot: Pilot[Any], component: str) -> ComponentScreen:
    screen = pilot.app.screen
    if not (isinstance(screen, ComponentScreen) and screen.place.component == component):
        screen.post_message(Visit(Place("component", "", component)))
    end = time.monotonic() + 30
    while time.monotonic() < end:
        await pilot.pause(0.05)
        screen = pilot.app.screen
        if isinstance(screen, ComponentScreen) and screen.place.component == component:
            screen.pull()
            await pilot.pause()
            return screen
    raise AssertionError(f"the screen of {component} never opened")
