"""Waiting for the console to have nothing left to do, instead of for time to pass."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from textual.app import App
from textual.message_pump import MessagePump
from textual.pilot import Pilot

from screens.console import EdxConsole
from screens.health import HealthScreen
from screens.inspect import InspectScreen
from screens.log_screen import LoggingScreen

_LOOK = 0.001
_CALM = 4
"""looks in a row at which nothing was pending: a hand-over between tasks takes a turn or two of the loop"""
_MOST = 20.0


async def rest(pilot: Pilot[Any]) -> None:
    """Until every message is handled, every frame that is due is drawn and no log is being opened."""
    await until_quiet(pilot.app)


async def until_quiet(app: App[Any]) -> None:
    end = time.monotonic() + _MOST
    calm = 0
    while calm < _CALM and app.is_running:
        assert time.monotonic() < end, "the console did not come to rest"
        await asyncio.sleep(_LOOK)
        calm = 0 if busy(app) else calm + 1


def busy(app: App[Any]) -> bool:
    """Whether anything is still to be handled or drawn."""
    if isinstance(app, EdxConsole):
        if not app.bridge.ready or app._frames.pending or app.terminal_behind():
            return True
        for screen in app.screen_stack:
            if isinstance(screen, LoggingScreen) and screen.following is not None and screen.following.busy:
                return True
            if isinstance(screen, InspectScreen) and screen.asking.began is not None and not _held(app):
                return True
            if isinstance(screen, HealthScreen) and screen.asking.running and not _held(app):
                return True
    screen = app.screen
    if screen._dirty_widgets or screen._callbacks or screen._layout_required:
        return True
    return any(_has_work(pump) for pump in (app, *app.screen_stack, *screen.walk_children()))


def _held(app: EdxConsole) -> bool:
    """Whether a test keeps the engine from answering."""
    return bool(getattr(app.bridge.engine, "holds", False))


def _has_work(pump: MessagePump) -> bool:
    if pump._closing or pump._closed:
        return False
    waiting = pump._message_queue is not None and not pump._message_queue.empty()
    return bool(waiting or pump._next_callbacks)
