"""The ways to an inspection on the screen, and what it then shows."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from screens.component import ComponentScreen
from screens.host import HostScreen
from screens.inspect import InspectScreen
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.detail_view import DetailView
from widgets.inspection_view import InspectionView
from widgets.matrix_view import MatrixView
from widgets.service_table import ServiceTable

SIZES = [(200, 50), (120, 36), (80, 24)]


async def opened(pilot: Pilot[Any]) -> InspectScreen:
    """The inspection of what the cursor is on."""
    await pilot.press("i")
    screen = pilot.app.screen
    assert isinstance(screen, InspectScreen), screen
    return screen


async def on_component(pilot: Pilot[Any]) -> None:
    """The Component screen, on nginx of web."""
    await rest(pilot)
    pilot.app.screen.query_one(MatrixView).focus()
    await pilot.press("home", "enter")
    assert isinstance(pilot.app.screen, ComponentScreen)


async def on_lms(pilot: Pilot[Any]) -> None:
    """The Host screen, on the LMS of app1."""
    await rest(pilot)
    await pilot.press("down", "2")
    assert isinstance(pilot.app.screen, HostScreen)
    pilot.app.screen.query_one(ServiceTable).move_to("c:lms")
    await rest(pilot)


def shown(screen: InspectScreen) -> list[str]:
    return lines(screen.query_one(InspectionView))


def told(screen: InspectScreen) -> str:
    return "\n".join(lines(screen.query_one(DetailView)))
