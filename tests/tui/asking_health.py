"""The way to the health of the LMS on the screen, and what it then shows."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from edxconsole.cluster.model import ClusterSnapshot
from screens.health import HealthScreen
from screens.place import Place, Visit
from tests.tui import snapshots
from tests.tui.fakes import FakeEngine
from tests.tui.quiet import rest
from tests.tui.test_cluster_screen import lines
from widgets.detail_view import DetailView
from widgets.health_view import HealthView

SIZES = [(200, 50), (120, 36), (80, 24)]
BEAT1, MORE1 = "app1/heartbeat", "app1/extended heartbeat"
BEAT2, MORE2 = "app2/heartbeat", "app2/extended heartbeat"


def live() -> ClusterSnapshot:
    """The whole cluster live: all of its hosts can be asked."""
    return snapshots.healthy()


async def on_lms(pilot: Pilot[Any]) -> HealthScreen:
    """The health of the LMS, from where the cursor is on that of app1."""
    await rest(pilot)
    pilot.app.screen.post_message(Visit(Place("component", "app1", "lms")))
    await rest(pilot)
    await pilot.press("H")
    screen = pilot.app.screen
    assert isinstance(screen, HealthScreen)
    return screen


def shown(screen: HealthScreen) -> list[str]:
    return lines(screen.query_one(HealthView))


def row(screen: HealthScreen, host: str, check: str) -> str:
    """Everything that the lines of one check say, in one."""
    view = screen.query_one(HealthView)
    item = next(item for item in view.items if item.key == f"{host}/{check}")
    return " ".join(" ".join(text for text, _ in line).strip() for line in item.lines)


def told(screen: HealthScreen) -> str:
    return " ".join(fact.text for fact in screen.query_one(DetailView)._facts)


def pass_time(engine: FakeEngine, screen: HealthScreen, seconds: float) -> None:
    engine.clock.passed += seconds  # type: ignore[attr-defined]
    screen.pull()
