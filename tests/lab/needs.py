"""What tests need of a machine: named, looked up once, with the way to get it.

`tools/install_test_needs.py` prints the same list.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("EDXCONSOLE_LAB_CACHE", "/var/cache/edxconsole-lab"))
"""Where the systemd image and the Python 2.7 supervisors are kept between runs."""

SYSTEMD_IMAGE = CACHE / "systemd-1"
COMPOSE = CACHE / "docker-compose-2"
"""docker compose 2: Debian 12 has 1.29 only, and `docker.io` none"""
COMPOSE_SUITE = "trixie"
SUPERVISORS = {
    "3.0": CACHE / "supervisor-3.0",
    "3.1.3": CACHE / "supervisor-3.1.3",
    "3.2.3": CACHE / "supervisor-3.2.3",
}
"""version -> directory to put on a Python 2.7's path"""

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

PACKAGES = {
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "sudo": "sudo",
    "nginx": "nginx-light",
    "memcached": "memcached",
    "redis-server": "redis-server",
    "rabbitmq-server": "rabbitmq-server",
    "mariadbd": "mariadb-server",
    "ip": "iproute2",
    "ss": "iproute2",
    "iptables": "iptables",
    "unshare": "util-linux",
    "ps": "procps",
    "clush": "clustershell",
    "busybox": "busybox",
    "dockerd": "docker.io",
    "tcsh": "tcsh",
    "fish": "fish",
    "faketime": "faketime",
    "tmux": "tmux",
    "socat": "socat",
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "dbus-daemon": "dbus-daemon",
}
"""command -> Debian package that brings it"""

NAMESPACES_REMEDY = (
    "run as root, allow unprivileged user namespaces, or give the container "
    "--cap-add SYS_ADMIN --cap-add NET_ADMIN"
)


@dataclass(frozen=True, slots=True)
class Missing:
    """A need this machine does not meet: why, and what to do about it."""

    name: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why}; {self.remedy}"


def which(command: str) -> str | None:
    """The path of a command, looking in the sbin directories as well."""
    return shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:{SBIN}")


def python(version: str) -> Path | None:
    """An interpreter of this version ("2.7"), from PATH or pyenv; None when there is none."""
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates = [Path(found)] if found and ".pyenv/shims" not in found else []
    candidates += sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)
    return next((path for path in candidates if path.exists()), None)


def is_root() -> bool:
    """Root of the machine, not of a user namespace."""
    if os.geteuid() != 0:
        return False
    try:
        return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    except OSError:
        return False


@functools.cache
def missing(name: str) -> Missing | None:
    """None when the machine has it; otherwise what is missing.

    A name is one of CAPABILITIES, `python2.7` and the like, `supervisor-3.1.3` and the like, or
    a command.
    """
    check = CAPABILITIES.get(name)
    if check is not None:
        return check()
    if name.startswith("python"):
        return _missing_python(name.removeprefix("python"))
    if name.startswith("supervisor-"):
        return _missing_supervisor(name.removeprefix("supervisor-"))
    if which(name) is not None:
        return None
    package = PACKAGES.get(name, name)
    return Missing(name, f"no {name} on this machine", f"on Debian: apt-get install {package}")


def _missing_python(version: str) -> Missing | None:
    if python(version) is not None:
        return None
    return Missing(
        f"python{version}", f"no Python {version} on this machine", f"with pyenv: pyenv install {version}"
    )


def _missing_supervisor(version: str) -> Missing | None:
    name = f"supervisor-{version}"
    if (lacking := missing("python2.7")) is not None:
        return lacking
    if (SUPERVISORS[version] / "supervisor").is_dir():
        return None
    return Missing(name, f"supervisor {version} is not in {CACHE}", "as root: tools/install_test_needs.py")


def _missing_root() -> Missing | None:
    if is_root():
        return None
    return Missing("root", "needs root (several users and sudo on one host)", "run the tests as root")


def _missing_image() -> Missing | None:
    if (SYSTEMD_IMAGE / "etc/os-release").exists():
        return None
    return Missing("systemd-image", f"no {SYSTEMD_IMAGE}", "on Debian as root: tools/install_test_needs.py")


def _missing_compose() -> Missing | None:
    if COMPOSE.exists():
        return None
    return Missing("docker-compose-2", f"no {COMPOSE}", "on Debian as root: tools/install_test_needs.py")


def _missing_namespaces() -> Missing | None:
    from edxconsole.demo.namespaces import Mode, why_not

    reason = why_not(Mode.ROOT if is_root() else Mode.USER)
    if reason is None:
        return None
    return Missing("namespaces", f"no network namespaces here ({reason})", NAMESPACES_REMEDY)


CAPABILITIES: dict[str, Callable[[], Missing | None]] = {
    "root": _missing_root,
    "namespaces": _missing_namespaces,
    "systemd-image": _missing_image,
    "docker-compose-2": _missing_compose,
}
