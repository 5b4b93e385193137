"""Which key of a configuration file names which component: the rules of endpoints.yaml, typed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edxconsole.errors import CatalogError
from edxconsole.yamlfile import read_model

RULES = Path(__file__).with_name("endpoints.yaml")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scheme(_Model):
    """What a URL of this scheme leads to."""

    component: str = ""
    """"" where the scheme is spoken by many, as http is"""
    port: int | None = None


class EndpointRule(_Model):
    """One place where a file names an endpoint; endpoints.yaml says what each key means."""

    at: str = ""
    host: str = ""
    port: str = ""
    empty: str = ""
    told_by: str = ""
    kinds: dict[str, str] = {}
    """shell-style pattern, matched against the small letters of the value -> component id, or "" """
    component: str = ""
    required: bool = False


class EndpointRules(_Model):
    """All of endpoints.yaml."""

    schemes: dict[str, Scheme]
    ports: dict[str, int]
    """component id -> the port that its clients use when none is said"""
    sockets: dict[str, str]
    """component id -> the socket that its clients take for "localhost" """
    rules: tuple[EndpointRule, ...]


@cache
def load_endpoint_rules() -> EndpointRules:
    """The built-in rules. Raises CatalogError."""
    return read_model(RULES, EndpointRules, CatalogError)
