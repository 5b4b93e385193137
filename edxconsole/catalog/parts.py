"""What the parts of a health page mean, from parts.yaml beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter

from edxconsole.yamlfile import read_yaml

PARTS = Path(__file__).with_name("parts.yaml")


class Meaning(NamedTuple):
    """Of a part that says false: what is broken, and what to look at."""

    broken: str
    look: str


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    broken: str
    look: str


def _read() -> Mapping[str, Meaning]:
    entries = TypeAdapter(tuple[_Entry, ...]).validate_python(read_yaml(PARTS).data)
    return {name: Meaning(e.broken, e.look) for e in entries for name in e.names}


MEANINGS = _read()
"""name in small letters -> meaning; read with this module, as checks run in a loop that nothing may block"""
