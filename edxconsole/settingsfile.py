"""settings.yaml as an operator writes it. Apart, for pydantic is imported only where there is such a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from edxconsole.errors import SettingsError
from edxconsole.settings import Settings
from edxconsole.yamlfile import read_yaml, validate


class SettingsFile(BaseModel):
    """The shape of settings.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="edxconsole settings.yaml")

    theme: str | None = None
    ascii: bool = False
    arm_minutes: float = Field(default=5.0, gt=0, le=60)
    keys: dict[str, str] = Field(default_factory=dict)


def read_settings(path: Path) -> Settings:
    """The preferences in a file. Raises SettingsError with one line per mistake."""
    document = read_yaml(path)
    said = validate(document, SettingsFile)
    document.raise_problems(SettingsError)
    return Settings(**said.model_dump(exclude_unset=True)) if said is not None else Settings()
