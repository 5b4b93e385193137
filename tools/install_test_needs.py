#!/usr/bin/env python3
"""Bring what the host tests need: Debian packages, a systemd image, supervisor 3.x for Python 2.7.

Idempotent, and silent when everything is there. On Debian as root it installs; elsewhere it
prints one block that says what was left out and how to get it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.lab import needs

IMAGE_PACKAGES = (
    "systemd-sysv,dbus,openssh-server,sudo,python3,iproute2,procps,"
    "nginx-light,memcached,redis-server,cron,rsyslog"
)
"""A host under systemd: enough to have units of every kind an operator meets."""

POLICY = Path("/usr/sbin/policy-rc.d")
PIP_PINS = {"3.0": ["meld3==1.0.2"], "3.1.3": ["meld3==1.0.2"], "3.2.3": ["meld3==1.0.2"]}


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(argv: Sequence[str], *, timeout: float, cwd: Path | None = None) -> str | None:
    """None when it went well, else the last line it said."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PATH": f"{os.environ['PATH']}:{needs.SBIN}"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout, env=env, stdin=subprocess.DEVNULL, cwd=cwd
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def is_debian() -> bool:
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


@contextlib.contextmanager
def no_daemons_started() -> Iterator[None]:
    """apt would start nginx, MariaDB and the rest; the tests run their own, each on its own host."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def install_packages() -> list[str]:
    """What could not be installed, one clause each."""
    packages = sorted({needs.PACKAGES[c] for c in needs.PACKAGES if needs.which(c) is None})
    if not packages:
        return []
    say(f"installing {', '.join(packages)} ...")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    with no_daemons_started():
        if run(install, timeout=900) is None:
            return []
        run(["apt-get", "update", "-qq"], timeout=300)
        error = run(install, timeout=900)
    return [f"apt-get install {' '.join(packages)}: {error}"] if error else []


def build_image() -> list[str]:
    """The systemd image; built beside its place and moved there whole."""
    if needs.missing("systemd-image") is None:
        return []
    if needs.which("mmdebstrap") is None:
        return ["the systemd image: no mmdebstrap"]
    say("building the systemd image (once, one to two minutes) ...")
    needs.CACHE.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix="systemd.", dir=needs.CACHE))
    root = build / "root"
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={IMAGE_PACKAGES}"]
    error = run([*argv, debian_suite(), str(root)], timeout=900)
    if error is None:
        for name in ("etc/hostname", "etc/machine-id"):
            (root / name).unlink(missing_ok=True)
        (root / "etc/machine-id").touch()
        root.chmod(0o755)
        with contextlib.suppress(FileExistsError, OSError):
            root.rename(needs.SYSTEMD_IMAGE)
    shutil.rmtree(build, ignore_errors=True)
    return [f"the systemd image: {error}"] if error else []


def debian_suite() -> str:
    """The machine's own suite, for which its mirror surely has packages."""
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    return "stable"


def build_supervisors() -> list[str]:
    """supervisor 3.x beside a Python 2.7, where there is one."""
    python = needs.python("2.7")
    if python is None:
        return []
    failed = []
    for version, place in needs.SUPERVISORS.items():
        if (place / "supervisor").is_dir():
            continue
        say(f"installing supervisor {version} for Python 2.7 ...")
        needs.CACHE.mkdir(parents=True, exist_ok=True)
        build = Path(tempfile.mkdtemp(prefix="supervisor.", dir=needs.CACHE))
        pip = [str(python), "-m", "pip", "install", "-q", "--no-compile", "--target", str(build / "lib")]
        error = run([*pip, f"supervisor=={version}", *PIP_PINS[version]], timeout=300)
        if error is None:
            # The sdist's package is a setuptools namespace, which a directory on sys.path is not.
            (build / "lib/supervisor/__init__.py").touch()
            (build / "lib").chmod(0o755)
            (build / "lib").rename(place)
        else:
            failed.append(f"supervisor {version}: {error}")
        shutil.rmtree(build, ignore_errors=True)
    return failed


def fetch_compose() -> list[str]:
    """docker compose 2 of Debian 13, by apt with lists and a cache of its own: one static binary."""
    if needs.missing("docker-compose-2") is None or needs.which("apt-get") is None:
        return []
    say("fetching docker compose 2 of Debian 13 ...")
    needs.CACHE.mkdir(parents=True, exist_ok=True)
    build = Path(tempfile.mkdtemp(prefix="compose.", dir=needs.CACHE))
    for directory in ("lists/partial", "cache/archives/partial"):
        (build / directory).mkdir(parents=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    source = f"deb [signed-by={keys}] http://deb.debian.org/debian {needs.COMPOSE_SUITE} main"
    (build / "sources.list").write_text(f"{source}\n")
    own = {
        "Dir::Etc::sourcelist": build / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": build / "lists",
        "Dir::Cache": build / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in own.items())]
    error = run([*apt, "update"], timeout=300) or run(
        [*apt, "download", "docker-compose"], timeout=300, cwd=build
    )
    for package in build.glob("docker-compose_2*.deb"):
        error = run(["dpkg", "-x", str(package), str(build / "root")], timeout=60)
    found = build / "root/usr/libexec/docker/cli-plugins/docker-compose"
    if error is None and found.exists():
        found.rename(needs.COMPOSE)
    else:
        error = error or "its package has no such file"
    shutil.rmtree(build, ignore_errors=True)
    return [f"docker compose 2: {error}"] if error else []


def left_out() -> list[str]:
    """What the machine still lacks, one line each."""
    names = [
        *needs.PACKAGES,
        "namespaces",
        "root",
        "systemd-image",
        "docker-compose-2",
        "python2.7",
        *(f"supervisor-{version}" for version in needs.SUPERVISORS),
    ]
    return list(dict.fromkeys(str(lack) for name in names if (lack := needs.missing(name)) is not None))


def main() -> int:
    failed: list[str] = []
    if is_debian() and needs.is_root():
        failed += install_packages()
        failed += build_image()
        failed += build_supervisors()
        failed += fetch_compose()
        needs.missing.cache_clear()
    lacking = left_out()
    if not lacking and not failed:
        return 0
    say("Some host tests are left out on this machine:")
    for line in [*failed, *lacking]:
        say(f"  - {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
