"""What this machine lends the demo: its own daemons where it has them, and the Python the hosts run on."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import edxconsole
from edxconsole.demo.hostspec import Bind
from edxconsole.errors import DemoError

_PLACES = ("/usr/sbin", "/usr/bin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin")
_NEEDED = ("supervisor", "gunicorn", "celery")


def find_daemon(*names: str) -> str | None:
    """The path of the first of `names` found under /usr, which every host sees; None if there is none."""
    for name in names:
        for place in _PLACES:
            path = Path(place, name)
            if path.is_file() and os.access(path, os.X_OK):
                return str(path)
    return None


@dataclass(frozen=True, slots=True)
class Machine:
    """Paths of the daemons found; None where a stand-in takes the place."""

    sshd: str | None
    nginx: str | None
    memcached: str | None
    redis: str | None
    mysqld: str | None
    mysql_install: str | None

    @classmethod
    def look(cls) -> Machine:
        """Look in /usr."""
        install = find_daemon("mariadb-install-db")
        return cls(
            sshd=find_daemon("sshd"),
            nginx=find_daemon("nginx"),
            memcached=find_daemon("memcached"),
            redis=find_daemon("redis-server"),
            mysqld=find_daemon("mariadbd") if install else None,
            mysql_install=install,
        )

    @classmethod
    def bare(cls) -> Machine:
        """A machine with nothing but Python."""
        return cls(None, None, None, None, None, None)

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Which daemons of the demo are stand-ins, by the names an operator knows."""
        found = {"nginx": self.nginx, "MySQL": self.mysqld, "memcached": self.memcached, "Redis": self.redis}
        return (*(name for name, path in found.items() if path is None), "MongoDB", "RabbitMQ")

    @property
    def broker(self) -> str:
        """Celery's broker: the real Redis, or a directory of each host."""
        return "redis://data:6379/0" if self.redis and find_spec("redis") else "filesystem://"


def check_python() -> None:
    """Raises `DemoError` if the demo's own packages are not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise DemoError(
            f"the demo needs {', '.join(missing)}", remedy="install it with: pip install 'edxconsole[demo]'"
        )


def python_binds() -> tuple[Bind, ...]:
    """What a host must see of this Python: its installation, the virtual environment, edxconsole's source."""
    package = Path(edxconsole.__file__).resolve().parent
    wanted = {
        Path(sys.base_prefix).resolve(),
        Path(sys.prefix).resolve(),
        *_real_interpreter(),
        package,
        site_packages(),
    }
    roots: list[Path] = []
    for path in sorted(wanted, key=lambda p: len(p.parts)):
        if not path.is_relative_to("/usr") and not any(path.is_relative_to(r) for r in roots):
            roots.append(path)
    return tuple(Bind(str(path), str(path)) for path in roots)


def _real_interpreter() -> set[Path]:
    """The directory tree of the interpreter a venv's `bin/python` finally points to."""
    return {Path(os.path.realpath(sys.executable)).parent.parent}


def site_packages() -> Path:
    """Where the demo's packages are installed."""
    spec = find_spec("supervisor")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent
