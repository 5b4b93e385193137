#!/usr/bin/env python3
"""Make the pictures of docs/screenshots: the real console, on the demo cluster, with real failures.

Run by `make screenshots`. Needs what the demo needs; cluster.png also needs the package cairosvg and
the font DejaVu Sans Mono (fonts-dejavu-core), and is left as it is, with a word, without them.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "screenshots"
SIZE = (160, 34)
FONT = "DejaVu Sans Mono"
BREAKS = ("app-crash-loop", "disk-full")
CELL = 12.2
"""width of a character cell in the picture"""
_WAIT = 60.0

sys.path.insert(0, str(ROOT))
os.environ |= {"TEXTUAL_ANIMATIONS": "none", "COLORTERM": "truecolor"}


def edxconsole(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edxconsole", *arguments]


@contextmanager
def demo() -> Iterator[Path]:
    """The demo cluster in the background; gives the path of its hosts.yaml."""
    running = subprocess.Popen(edxconsole("demo", "--headless"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        path = running.stdout.readline().strip()
        if not path:
            raise SystemExit("screenshots: the demo cluster did not start")
        yield Path(path)
    finally:
        running.terminate()
        running.wait(_WAIT)


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for a condition; ends the program with its name after a minute."""
    end = time.monotonic() + _WAIT
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"screenshots: waited in vain for {what}")
        await asyncio.sleep(0.1)


def make_app(hosts: Path) -> Any:
    """The console as `edxconsole` makes it, on a terminal that is only drawn."""
    from edxconsole.app import LateEngine, demo_notice
    from edxconsole.inventory.loader import load_inventory
    from screens.bridge import Bridge
    from screens.console import EdxConsole
    from screens.prompter import ModalPrompter
    from widgets.clock import Clock

    inventory = load_inventory(hosts)
    prompter = ModalPrompter()
    engine = LateEngine(inventory, prompter)
    bridge = Bridge(engine, inventory, Clock(), notice=demo_notice(inventory))
    return EdxConsole(bridge, prompter=prompter)


async def photograph(hosts: Path) -> None:
    """Break the demo while the console looks on, and walk through its screens."""
    app = make_app(hosts)

    def is_broken() -> bool:
        instances = app.bridge.cluster.hosts["app2"].instances
        return any(i.component == "cms" and "restarted" in i.reason for i in instances)

    def is_live() -> bool:
        hosts = app.bridge.cluster.hosts.values()
        return all(h.trusted and h.instances for h in hosts) and not app.bridge.cluster.problems

    async with app.run_test(size=SIZE) as pilot:
        await until("a healthy cluster", is_live)
        for name in BREAKS:
            done = await asyncio.create_subprocess_exec(*edxconsole("demo", "--break", name), cwd=ROOT)
            await done.wait()
        await until("the disk to be full", lambda: len(app.bridge.cluster.problems) >= len(BREAKS))
        app.screen.query_one("#problems").move_to("app2/cms")
        await shoot(app, "cluster", is_broken)
        await pilot.press("enter")
        await shoot(app, "component", is_broken)
        await pilot.press("2")
        await shoot(app, "host", is_broken)
        await pilot.press("4", "u")
        await shoot(app, "logs")
        await pilot.press("2", "home", "a")
        await until("the choice of actions", lambda: type(app.screen).__name__ == "ActionModal")
        await pilot.press("enter")
        await until("the plan", lambda: type(app.screen).__name__ == "ConfirmModal")
        await shoot(app, "action")
    app.bridge.close()


async def shoot(app: Any, name: str, holds: Callable[[], bool] = lambda: True) -> None:
    """One picture, once logs are read and while a condition holds."""
    await asyncio.sleep(1.2)
    await until(f"the state to show in {name}", holds)
    app.live_screen.pull()
    svg = local_font(app.export_screenshot(title="edxconsole"))
    (PICTURES / f"{name}.svg").write_text(svg)


def local_font(svg: str) -> str:
    """Without fonts from the net: pages that show pictures don't load them, and neither do we."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", f"Fira Code, {FONT}, Menlo, Consolas, monospace")


_TEXT = re.compile(
    r'<text (class="[^"]+") x="([\d.]+)" (y="[^"]+") textLength="[\d.]+" ([^>]+)>([^<]+)</text>'
)


def _word_by_word(run: re.Match[str]) -> str:
    """Each word at its own cell: cairosvg does not fit text to textLength, so columns would drift."""
    attributes, x, y, clip, text = run[1], float(run[2]), run[3], run[4], html.unescape(run[5])
    return "".join(
        f'<text {attributes} x="{x + word.start() * CELL:.1f}" {y} {clip}>{html.escape(word[0])}</text>'
        for word in re.finditer(r"[^\s\xa0]+", text)
    )


def to_png(name: str) -> None:
    """The picture for pages that can't show SVG text well."""
    try:
        import cairosvg
    except (ImportError, OSError) as error:
        sys.stderr.write(f"screenshots: {name}.png is left as it is: {error}\n")
        return
    svg = (PICTURES / f"{name}.svg").read_text().replace("Fira Code, ", "")
    svg = _TEXT.sub(_word_by_word, svg)
    cairosvg.svg2png(bytestring=svg.encode(), write_to=str(PICTURES / f"{name}.png"), output_width=2000)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edxconsole-pictures.") as state:
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = state
        with demo() as hosts:
            asyncio.run(photograph(hosts))
    to_png("cluster")


if __name__ == "__main__":
    main()
