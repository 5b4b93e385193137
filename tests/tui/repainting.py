"""A console that repaints without end, for test_congestion.py.

`python -m tests.tui.repainting REPORT [no-gate]`
Writes the longest pause of its own loop, in seconds, to REPORT.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import widgets.driver
from edxconsole.cluster.model import State
from screens.console import EdxConsole
from tests.tui.fakes import FakeEngine, make_app
from widgets.driver import PatientDriver

SECONDS = 6.0
LAST = "the-newest-frame"
_BEAT = 0.01


async def repaint(app: Repainting, engine: FakeEngine) -> None:
    """Change everything 25 times a second for a while, then one thing for the last time."""
    worst, begun = 0.0, time.monotonic()
    beats = 0
    while (now := time.monotonic()) - begun < SECONDS:
        beats += 1
        if beats % 4 == 0:
            publish(engine, f"change {beats}")
            app.screen.refresh(layout=True)
        await asyncio.sleep(_BEAT)
        worst = max(worst, time.monotonic() - now - _BEAT)
    publish(engine, LAST)
    await asyncio.sleep(1.0)
    app.worst = worst
    app.exit(0)


def publish(engine: FakeEngine, text: str) -> None:
    fresh = engine.snapshot
    problems = tuple(replace(p, state=State.DOWN, text=text) for p in fresh.problems)
    engine.publish(replace(fresh, version=fresh.version + 1, problems=problems))


class Repainting(EdxConsole):
    """Begins to repaint once it is on the screen."""

    worst = 0.0
    fake: FakeEngine

    def on_ready(self) -> None:
        self.run_worker(repaint(self, self.fake))


def main() -> None:
    if "no-gate" in sys.argv:
        widgets.driver.MOST_PENDING = sys.maxsize
    app, engine = make_app(driver_class=PatientDriver)
    app.__class__ = Repainting
    assert isinstance(app, Repainting)
    app.fake = engine
    app.run()
    Path(sys.argv[1]).write_text(json.dumps({"worst": app.worst}))


if __name__ == "__main__":
    main()
