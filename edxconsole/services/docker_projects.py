"""The compose projects of a host, by the labels that compose gives their containers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edxconsole.services.docker_units import as_map, place_of, text

WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
_PATH = re.compile(r"/[!-~]{0,500}")
_RENDERED = re.compile(r"(/.{0,500})/env/(?:local|dev|k8s)")
_MAX_FILES = 16


@dataclass(frozen=True, slots=True)
class Project:
    """One compose project: where its files are, and the image of each service that has a container."""

    name: str
    working_dir: str = ""
    """"" where the labels don't tell"""
    config_files: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)
    """service -> image"""

    @property
    def tutor_root(self) -> str:
        """TUTOR_ROOT: Tutor renders its compose files into TUTOR_ROOT/env/local; "" if they are not there."""
        places = (self.working_dir, *(path.rpartition("/")[0] for path in self.config_files))
        found = (_RENDERED.fullmatch(place.rstrip("/")) for place in places)
        return next((match[1] for match in found if match is not None), "")


def projects_of(listed: Iterable[object]) -> tuple[Project, ...]:
    """From /containers/json, by name. One-offs and containers outside of projects are left out."""
    found: dict[str, Project] = {}
    for entry in listed:
        told = as_map(entry)
        labels = as_map(told.get("Labels"))
        place = place_of(labels)
        if place is None:
            continue
        known = found.get(place.project) or Project(place.project)
        image = text(told, "Image")
        found[place.project] = Project(
            place.project,
            known.working_dir or _path(text(labels, WORKING_DIR)),
            known.config_files or _paths(text(labels, CONFIG_FILES)),
            {**known.images, place.service: image if _PATH.fullmatch(f"/{image}") else ""},
        )
    return tuple(found[name] for name in sorted(found))


def _path(said: str) -> str:
    clean = _PATH.fullmatch(said) is not None and "/../" not in f"{said}/"
    return said if clean else ""


def _paths(said: str) -> tuple[str, ...]:
    """compose writes them with commas between; the relative paths of old ones are left out."""
    return tuple(path for part in said.split(",")[:_MAX_FILES] if (path := _path(part.strip())))
