"""What is compared between the hosts of one component, and which secrets two share: drift.yaml, typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edxconsole.errors import CatalogError
from edxconsole.yamlfile import read_model

RULES = Path(__file__).with_name("drift.yaml")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Model):
    """Where a component's program comes from; drift.yaml says what each key means."""

    packages: tuple[str, ...] = ()
    code: str = ""
    venv: str = ""


class DriftRules(_Model):
    """All of drift.yaml."""

    components: dict[str, Origin]
    shared_secrets: tuple[dict[str, str], ...]
    """component id -> dotted key, two each"""


@cache
def load_drift_rules() -> DriftRules:
    """The built-in rules. Raises CatalogError."""
    return read_model(RULES, DriftRules, CatalogError)
