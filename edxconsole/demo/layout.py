"""Where a demo host keeps things: the paths and virtual environments of a native Open edX install."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from edxconsole.demo import machine
from edxconsole.demo.hostspec import HostFile, Service

EDXAPP_VENV = "/edx/app/edxapp/venvs/edxapp"
XQUEUE_VENV = "/edx/app/xqueue/venvs/xqueue"
SUPERVISOR_VENV = "/edx/app/supervisor/venvs/supervisor"
SUPERVISOR_CONF = "/edx/app/supervisor/supervisord.conf"


@dataclass(frozen=True, slots=True)
class Place:
    """One demo host.

    Args:
        root: what goes before each path: empty in a host with a root of its own.
        listen: the address its servers bind.
        data: how the app hosts name the data host; `apps` how nginx and each other name them.
    """

    name: str
    address: str
    listen: str = "0.0.0.0"
    root: str = ""
    data: str = "data"
    apps: tuple[str, ...] = ("app1", "app2")

    @property
    def env(self) -> dict[str, str]:
        """What the demo's programs are told."""
        own = {
            "EDX_DEMO_APPS": " ".join(self.apps),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return own | ({"EDX_DEMO_ROOT": self.root, "EDX_DEMO_HOST": self.name} if self.root else {})


@dataclass(slots=True)
class Contents:
    """What a role puts on a host; paths without the host's root."""

    files: list[HostFile] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)

    def add(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add one file."""
        self.files.append(HostFile(path, text, mode))


def add_venv(contents: Contents, place: Place, venv: str, scripts: Mapping[str, str]) -> None:
    """Put a virtual environment at `venv` that shares the packages of the one we run in.

    Args:
        scripts: name in bin/ -> Python source of the script. They start with that environment's own
            interpreter, so `ps` shows the paths of a native install.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = os.path.realpath(sys.executable)
    python = f"{place.root}{venv}/bin/python"
    contents.add(
        f"{venv}/pyvenv.cfg", f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\n"
    )
    contents.links[f"{venv}/bin/python"] = base
    contents.links[f"{venv}/bin/python3"] = "python"
    contents.links[f"{venv}/lib/{version}/site-packages"] = str(machine.site_packages())
    for name, source in scripts.items():
        contents.add(f"{venv}/bin/{name}", f"#!{python}\n{source}", 0o755)


def entry_point(module: str, function: str) -> str:
    """The source of a console script."""
    return f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
