"""The commands of the whole console, wherever one is."""

from __future__ import annotations

from widgets.commands import Command, bindings


class Quit(Command):
    """Leave the console. Nothing on the hosts is touched; connections are closed."""

    key, shown, title, action, footer = "q,ctrl+q", "q", "Quit", "leave", True


class Interrupt(Command):
    """Leave the console at once."""

    key, title, action, palette, priority = "ctrl+c", "Quit", "leave", False, True


class Help(Command):
    """Show every key that works here, and what it does."""

    key, shown, title, action, footer = "question_mark", "?", "Help", "help", True


class Palette(Command):
    """Go to a host or component, or run a command, by typing some of its name."""

    key, shown, title, action, footer, palette = (
        "colon,ctrl+p", ":", "Go to", "command_palette", True, False,
    )  # fmt: skip


class Arm(Command):
    """Allow changes for some minutes, or take that back. Each change still needs its own confirmation."""

    key, title, action, footer = "w", "Arm", "arm", True


class Older(Command):
    """Go back to where one was before."""

    key, shown, title, action = "left_square_bracket", "[", "Back in history", "history(-1)"


class Newer(Command):
    """Go forward again."""

    key, shown, title, action = "right_square_bracket", "]", "Forward in history", "history(1)"


class GoCluster(Command):
    """Problems, hosts and components of the whole cluster."""

    key, title, action = "1", "Cluster", "screen('cluster')"


class GoHost(Command):
    """One host: its services, ports, logs and supervisor programs."""

    key, title, action = "2", "Host", "screen('host')"


class GoComponent(Command):
    """One component on all its hosts, with the evidence for its state."""

    key, title, action = "3", "Component", "screen('component')"


class GoLogs(Command):
    """Logs of any hosts and components together, as they arrive."""

    key, title, action = "4", "Logs", "screen('logs')"


class Reconnect(Command):
    """Try the selected host again now, also one that refused us."""

    key, title, action = "r", "Reconnect", "reconnect"


class NextTheme(Command):
    """Change colours: dark, light, colour-blind safe, monochrome."""

    key, title, action = "t", "Theme", "next_theme"


class Suspend(Command):
    """Put the console into the shell's background; `fg` brings it back."""

    key, title, action, palette = "ctrl+z", "Suspend", "suspend_process", False


APP_BINDINGS = bindings(
    Quit, Interrupt, Help, Palette, Arm, Older, Newer, GoCluster, GoHost, GoComponent, GoLogs,
    Reconnect, NextTheme, Suspend,
)  # fmt: skip
