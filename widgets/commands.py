"""One class per command: its key, footer word, palette entry, help and tooltip, said once."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.binding import Binding, BindingType


class Command:
    """What an operator can do. The subclass's docstring is its help and tooltip."""

    key: ClassVar[str]
    """as Textual names keys; several by commas"""
    shown: ClassVar[str] = ""
    """how the key is written for people, when its name is not"""
    title: ClassVar[str]
    action: ClassVar[str]
    footer: ClassVar[bool] = False
    palette: ClassVar[bool] = True
    priority: ClassVar[bool] = False

    @classmethod
    def id(cls) -> str:
        """ "GoHost" -> "go-host": what a keymap in the settings names."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def help(cls) -> str:
        return " ".join((cls.__doc__ or "").split())

    @classmethod
    def binding(cls, *, footer: bool = True) -> Binding:
        """Its binding; without `footer` it is not in the footer, as where there is no room for it."""
        return Binding(
            cls.key,
            cls.action,
            cls.title,
            show=cls.footer and footer,
            key_display=cls.shown or None,
            priority=cls.priority,
            tooltip=cls.help(),
            id=cls.id(),
        )


_palette: dict[str, bool] = {}


def bindings(*commands: type[Command]) -> list[BindingType]:
    """BINDINGS of a widget, screen or app, made from its commands."""
    for command in commands:
        _palette[command.id()] = command.palette
    return [command.binding() for command in commands]


def in_palette(binding: Binding) -> bool:
    """Whether a live binding belongs in the palette: ours, and not mere cursor movement."""
    return binding.id is not None and _palette.get(binding.id, False)
