"""Where our own files are, and the operator's preferences."""

from __future__ import annotations

from pathlib import Path

import pytest

from edxconsole.errors import SettingsError
from edxconsole.settings import Settings, config_dir, load_settings, state_dir


def test_xdg_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative/paths/are/ignored")
    assert state_dir() == Path("/s/edxconsole")
    assert config_dir() == tmp_path / ".config" / "edxconsole"


def test_defaults_without_a_file(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "settings.yaml") == Settings()


def test_preferences_are_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("theme: nord\narm_minutes: 2\nkeys: {help: f1}\n")
    assert load_settings(path) == Settings(theme="nord", arm_minutes=2, keys={"help": "f1"})


def test_a_mistake_is_told_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("theme: nord\narm_minutes: 600\nasci: true\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert f"{path}:2: arm_minutes: found the number 600, expected at most 60" in caught.value.cause
    assert f"{path}:3: asci: unknown key; did you mean 'ascii'?" in caught.value.cause
    assert caught.value.exit_status == 2
