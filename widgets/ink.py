"""The inks screens are drawn with: roles, our own themes, and the styles they come to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from rich.color import Color
from rich.style import Style
from textual.theme import Theme


class Role(StrEnum):
    """What a piece of text is for; a theme decides how that looks."""

    TEXT = "text"
    STRONG = "strong"
    DIM = "dim"
    FAINT = "faint"
    ACCENT = "accent"
    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    STALE = "stale"
    ALARM = "alarm"
    """words on a coloured ground: PRODUCTION, ARMED"""
    MATCH = "match"


_DARK = {
    "text": "#c9d1d9", "strong": "bold #eef2f6", "dim": "#808b97", "faint": "#39434e", "accent": "#6fb7c8",
    "up": "#83b78d", "degraded": "#d9ab57", "down": "bold #ea7468", "unknown": "#ab9ad6", "absent": "#808b97",
    "stale": "dim italic #a9a08c", "alarm": "bold #14181d on #d9ab57", "match": "bold #14181d on #6fb7c8",
    "cursor": "#22303a", "rest": "#1a2129", "lit": "#16272d",
}  # fmt: skip
_LIGHT = {
    "text": "#2c3238", "strong": "bold #11161b", "dim": "#676f78", "faint": "#cfd0cb", "accent": "#0d6783",
    "up": "#2c7440", "degraded": "#8d5f00", "down": "bold #b92a23", "unknown": "#6547ab", "absent": "#676f78",
    "stale": "dim italic #6b6350", "alarm": "bold #ffffff on #8d5f00", "match": "bold #ffffff on #0d6783",
    "cursor": "#dbe8ec", "rest": "#efeeea", "lit": "#e4f0f2",
}  # fmt: skip
_SAFE = {
    **_DARK, "accent": "#e8edf2",
    "up": "#56b4e9", "degraded": "#f0c040", "down": "bold #ff8a3d", "unknown": "#cc9fc0",
    "alarm": "bold #14181d on #f0c040", "match": "bold #14181d on #e8edf2",
}  # fmt: skip
_MONO = {
    "text": "#e6e6e6", "strong": "bold #ffffff", "dim": "#a8a8a8", "faint": "#5a5a5a",
    "accent": "bold #ffffff",
    "up": "#e6e6e6", "degraded": "bold underline #ffffff", "down": "bold reverse #ffffff",
    "unknown": "italic #ffffff", "absent": "#a8a8a8", "stale": "dim italic #a8a8a8",
    "alarm": "bold #000000 on #ffffff", "match": "bold underline #ffffff",
    "cursor": "#444444", "rest": "#242424", "lit": "#303030",
}  # fmt: skip


def _theme(name: str, ink: Mapping[str, str], background: str, *, dark: bool = True) -> Theme:
    def colour(role: str) -> str:
        return ink[role].split(" on ")[0].split()[-1]

    return Theme(
        name=name,
        primary=colour("accent"),
        secondary=colour("dim"),
        accent=colour("accent"),
        success=colour("up"),
        warning=colour("degraded"),
        error=colour("down"),
        foreground=colour("text"),
        background=background,
        surface=background,
        panel=ink["rest"],
        dark=dark,
        variables={
            "faint": colour("faint"),
            "dim": colour("dim"),
            "cursor-ground": ink["cursor"],
            "input-cursor-text-style": "reverse",
            "border": colour("faint"),
            "border-blurred": colour("faint"),
        },
    )


_INKS = {"edx-dark": _DARK, "edx-light": _LIGHT, "edx-safe": _SAFE, "edx-mono": _MONO}

THEMES = (
    _theme("edx-dark", _DARK, "#12161b"),
    _theme("edx-light", _LIGHT, "#fbfaf7", dark=False),
    _theme("edx-safe", _SAFE, "#12161b"),
    _theme("edx-mono", _MONO, "#000000"),
)


def _derived(theme: Theme) -> dict[str, str]:
    """Inks for one of Textual's own themes, from its colours."""
    base = dict(_DARK if theme.dark else _LIGHT)
    for role, colour in (
        ("text", theme.foreground),
        ("accent", theme.accent or theme.primary),
        ("up", theme.success),
        ("degraded", theme.warning),
        ("down", theme.error),
        ("cursor", theme.panel),
    ):
        if colour and colour.startswith("#"):
            base[role] = f"bold {colour}" if role == "down" else colour
    return base


class Ink:
    """The styles of one theme on one background. Made by `ink_for`, shared, never changed."""

    def __init__(self, source: Mapping[str, str], background: Style) -> None:
        self._styles = {role: background + Style.parse(source[role]) for role in Role}
        self.grounds = {name: Style(bgcolor=Color.parse(source[name])) for name in ("cursor", "rest", "lit")}

    def __getitem__(self, role: Role) -> Style:
        return self._styles[role]

    def on(self, role: Role, ground: str) -> Style:
        """The role on the ground of a row: "" plain, "cursor", "rest" (cursor elsewhere) or "lit"."""
        style = self._styles[role]
        if not ground or role in (Role.ALARM, Role.MATCH):
            return style
        return style + self.grounds[ground]


@lru_cache(maxsize=16)
def _made(name: str, source: tuple[tuple[str, str], ...], background: Style) -> Ink:
    return Ink(dict(source), background)


def ink_for(theme: Theme, background: Style) -> Ink:
    """The inks of a theme on a widget's background."""
    source = _INKS.get(theme.name) or _derived(theme)
    return _made(theme.name, tuple(source.items()), background)
