"""`edxconsole version`: what runs here, for reports."""

from __future__ import annotations

import importlib.metadata
import platform

import click

from edxconsole import __version__
from edxconsole.commands.options import json_option
from edxconsole.commands.output import Printer, print_json

LIBRARIES = ("asyncssh", "paramiko", "textual", "jeepney", "httpx", "psutil", "pydantic", "PyYAML", "click")


@click.command()
@json_option
def version(as_json: bool) -> int:
    """Versions of edxconsole and what it stands on."""
    versions = {"edxconsole": __version__, "python": platform.python_version(), "system": platform.platform()}
    libraries = {name: _installed(name) for name in LIBRARIES}
    if as_json:
        print_json("version", {**versions, "libraries": libraries})
        return 0
    out = Printer()
    for name, text in {**versions, **libraries}.items():
        out.line(f"{name:<12}{text}")
    return 0


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
