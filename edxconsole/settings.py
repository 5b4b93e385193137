"""Where edxconsole keeps its own files, by the XDG rules; the operator's preferences."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path


def state_dir() -> Path:
    """Journal, log file and pinned host keys: $XDG_STATE_HOME/edxconsole (0700)."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def config_dir() -> Path:
    """settings.yaml and a usual hosts.yaml: $XDG_CONFIG_HOME/edxconsole."""
    return _xdg("XDG_CONFIG_HOME", ".config")


def log_file() -> Path:
    """Where tracebacks go (0600)."""
    return state_dir() / "edxconsole.log"


def home_dir() -> Path:
    """The operator's home; / for a user without one, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def local_user() -> str:
    """Who runs this, by the account database; the number of a user it does not know."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _xdg(variable: str, usual: str) -> Path:
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else home_dir() / usual) / "edxconsole"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The operator's own preferences, from settings.yaml in the config directory."""

    theme: str | None = None
    """a Textual theme or one of ours"""
    ascii: bool = False
    """no characters beyond ASCII on screen"""
    arm_minutes: float = 5.0
    """how long arming lasts"""
    keys: dict[str, str] = field(default_factory=dict)
    """command id -> key"""


def load_settings(path: Path | None = None) -> Settings:
    """The preferences; the defaults when there is no file. Raises SettingsError."""
    path = path or config_dir() / "settings.yaml"
    if not path.exists():
        return Settings()
    from edxconsole.settingsfile import read_settings

    return read_settings(path)
