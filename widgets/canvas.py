"""Canvas: a pane that draws its own lines, scrolls itself and repaints only what changed.

It overrides `render_lines`, so it must have no border or padding (textual.md section 2.1: a third
of the cost of a stock widget), and applies the app's line filters (NO_COLOR) itself.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.clean import clean, pad, to_ascii
from widgets.ink import Ink, Role, ink_for


class Canvas(Widget, can_focus=True):
    """A title line, fixed head lines, and a body of equal lines of which some are in view."""

    DEFAULT_CSS = """
    Canvas { width: 1fr; height: 1fr; background: $background; color: $foreground; }
    """
    ALLOW_SELECT = False

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.note = ""
        """said after the title: counts, filter, what is being followed"""
        self.top = 0
        """index of the first body line in view"""
        self._frame_ink: Ink | None = None
        self._strips: LRUCache[object, Strip] = LRUCache(64)
        self.painted = 0
        """lines painted so far, for tests and benchmarks"""

    # What a subclass gives.

    def length(self) -> int:
        """How many body lines there are."""
        return 0

    def head_lines(self) -> int:
        """Lines above the body, the title line included."""
        return 1

    def head_strip(self, y: int, width: int) -> Strip:
        """A head line after the title, y from 1."""
        return self.blank(width)

    def body_strip(self, index: int, width: int) -> Strip:
        """A body line."""
        return self.blank(width)

    def empty_text(self) -> str:
        """What the first body line says when there is none."""
        return ""

    # Drawing.

    @property
    def ascii_only(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    @property
    def ink(self) -> Ink:
        """The styles of the theme on this pane's ground; worked out once a frame."""
        if self._frame_ink is not None:
            return self._frame_ink
        return ink_for(self.app.current_theme, Style(bgcolor=self._ground().rich_color))

    def blank(self, width: int) -> Strip:
        return Strip.blank(width, self.ink[Role.TEXT])

    def safe(self, text: str) -> str:
        """Text that may have come from anywhere, as this terminal can take it. Idempotent."""
        return to_ascii(clean(text)) if self.ascii_only else clean(text)

    def line(self, runs: list[tuple[str, Style]], width: int) -> Strip:
        """A strip of exactly `width` cells, with the app's filters applied."""
        strip = Strip([Segment(self.safe(text), style) for text, style in runs])
        return self.finish(strip.adjust_cell_length(width, self.ink[Role.TEXT]))

    def finish(self, strip: Strip) -> Strip:
        """Apply what StylesCache would have applied: NO_COLOR and dim filters."""
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, self._ground())
        return strip

    def kept(self, key: object, make: Callable[[], Strip]) -> Strip:
        """A strip made once for what decides its look; the ink is part of every key."""
        whole = (key, self.ink, self.ascii_only)
        strip = self._strips.get(whole)
        if strip is None:
            strip = self._strips[whole] = make()
        return strip

    def _ground(self) -> Color:
        return self.background_colors[1]

    def render_lines(self, crop: Region) -> list[Strip]:
        width = self.size.width
        whole = crop.x == 0 and crop.width >= width
        self._frame_ink = self.ink
        try:
            strips = [self._draw(y, width) for y in range(crop.y, crop.bottom)]
        finally:
            self._frame_ink = None
        self.painted += len(strips)
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def _draw(self, y: int, width: int) -> Strip:
        head = self.head_lines()
        if y == 0:
            key = ("title", self.title, self.note, self.has_focus, width)
            return self.kept(key, lambda: self._title_strip(width))
        if y < head:
            return self.head_strip(y, width)
        index = self.top + y - head
        length = self.length()
        if index >= length:
            text = self.empty_text() if length == 0 and y == head else ""
            return self.kept(
                (text, width), lambda: self.line([(pad(f"  {text}", width), self.ink[Role.DIM])], width)
            )
        if length <= self.view_height:
            return self.body_strip(index, width)
        sign, style = self._thumb(y - head, length)
        thumb = self.kept((sign, style), lambda: self.line([(sign, style)], 1))
        return Strip.join([self.body_strip(index, width - 1), thumb])

    def _thumb(self, y: int, length: int) -> tuple[str, Style]:
        height = self.view_height
        size = max(1, height * height // length)
        start = round(self.top * (height - size) / max(1, length - height))
        role = Role.DIM if start <= y < start + size else Role.FAINT
        return ("┃" if role is Role.DIM else "│", self.ink[role])

    def _title_strip(self, width: int) -> Strip:
        ink = self.ink
        mark, role = ("▌", Role.ACCENT) if self.has_focus else (" ", Role.DIM)
        title = ink[role] + Style(bold=True)
        note = f"  {self.safe(self.note)} " if self.note else " "
        used = len(mark) + 1 + len(self.title) + len(note)
        rule = "─" * max(0, width - used)
        return self.line(
            [(f"{mark} {self.title}", title), (note, ink[Role.DIM]), (rule, ink[Role.FAINT])], width
        )

    # Scrolling.

    @property
    def view_height(self) -> int:
        """Body lines that fit."""
        return max(0, self.size.height - self.head_lines())

    @property
    def last_top(self) -> int:
        return max(0, self.length() - self.view_height)

    def scroll_lines_to(self, top: int) -> None:
        """Show the body from this line on, as far as there are lines."""
        top = max(0, min(top, self.last_top))
        if top != self.top:
            self.top = top
            self.refresh()

    def refresh_body(self, index: int) -> None:
        """Repaint one body line, if it is in view."""
        y = index - self.top
        if 0 <= y < self.view_height:
            self.refresh(Region(0, y + self.head_lines(), self.size.width, 1))

    def set_note(self, note: str) -> None:
        if note != self.note:
            self.note = note
            self.refresh(Region(0, 0, self.size.width, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines_to(self.top + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines_to(self.top - 3)

    def on_resize(self) -> None:
        self.top = max(0, min(self.top, self.last_top))

    def watch_has_focus(self, has_focus: bool) -> None:
        super().watch_has_focus(has_focus)
        self.refresh()
