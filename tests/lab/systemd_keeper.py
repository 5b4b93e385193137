"""A host whose process 1 is systemd. Run as `python -m tests.lab.systemd_keeper`, see systemd.py.

Reads one JSON line, boots the image with systemd-nspawn in namespaces and control groups of its own,
and says {"pid": N} (the machine's number of the host's process 1) or {"error": "..."}. It ends the
host, and takes its control groups away, when its standard input is closed: so also when the tests
were killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edxconsole.demo import linux
from edxconsole.demo.hostinit import BRIDGE, PREFIX, veth_name
from edxconsole.demo.rtnetlink import Rtnetlink

STAGE = Path("/mnt")
CGROUPS = Path("/sys/fs/cgroup")
BOOT_SECONDS = 30.0


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def lay_cable(address: str) -> None:
    """Leave for a network of our own, with eth0 at the tests' bridge."""
    with Rtnetlink() as outside:
        linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS)
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        outside.add_veth(veth_name(address), "eth0", os.getpid())
        outside.set_up(veth_name(address), master=BRIDGE)
    with Rtnetlink() as inside:
        inside.set_up("lo")
        inside.add_address("eth0", address, PREFIX)
        inside.set_up("eth0")


def own_cgroups(name: str) -> list[Path]:
    """Move into a new group of every hierarchy: two systemds in one group would share their units."""
    made = []
    for procs in [CGROUPS / "cgroup.procs", *CGROUPS.glob("*/cgroup.procs")]:
        if not procs.exists() or (procs.parent != CGROUPS and (CGROUPS / "cgroup.procs").exists()):
            continue
        group = procs.parent / name
        group.mkdir(exist_ok=True)
        made.append(group)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (procs.parent / setting).exists():
                (group / setting).write_text((procs.parent / setting).read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))
    return made


def leave_cgroups(groups: list[Path]) -> None:
    """Back to the roots, then remove what the host made below ours; the kernel needs a moment."""
    for group in groups:
        (group.parent / "cgroup.procs").write_text(str(os.getpid()))
    deadline = time.monotonic() + 5
    while groups and time.monotonic() < deadline:
        for group in groups:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
        groups = [group for group in groups if group.exists()]
        time.sleep(0.02)


def build_root(spec: dict[str, Any]) -> Path:
    """The image, with what is written kept in a tmpfs; and a /run for nspawn's own marks."""
    linux.mount("tmpfs", STAGE, "tmpfs", 0, f"size={spec['size_mib']}m,mode=755")
    root = STAGE / "root"
    for directory in (STAGE / "upper", STAGE / "work", root):
        directory.mkdir()
    layers = f"lowerdir={spec['image']},upperdir={STAGE}/upper,workdir={STAGE}/work"
    linux.mount("overlay", root, "overlay", 0, layers)
    linux.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    for name, (text, mode) in spec["files"].items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    subprocess.run(["chroot", str(root), "/bin/sh", "-e", "/run/prepare.sh"], check=True, timeout=20)
    return root


def run_nspawn(spec: dict[str, Any]) -> int:
    """In a process namespace of our own, so that nothing outlives us."""
    linux.die_with_parent()
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    root = build_root(spec)
    linux.mount("proc", "/proc", "proc")
    name = spec["name"]
    argv = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--machine={name}"]
    argv += [f"--hostname={name}", f"--directory={root}", "--network-namespace-path=/proc/self/ns/net"]
    argv += ["--console=pipe", "--boot"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode


def find_init(keeper: int) -> int | None:
    """The process named systemd below `keeper`, by this machine's numbers."""
    queue = [keeper]
    while queue:
        pid = queue.pop()
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid
            queue += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return None


def main() -> int:
    spec = json.loads(sys.stdin.readline())
    lay_cable(spec["address"])
    groups = own_cgroups(f"edxlab.{os.getpid()}")
    linux.unshare(linux.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        try:
            os._exit(run_nspawn(spec))
        except (OSError, subprocess.SubprocessError) as error:
            tell(error=str(error))
            os._exit(1)
    watch = os.pidfd_open(child)
    deadline = time.monotonic() + BOOT_SECONDS
    while (init := find_init(child)) is None and time.monotonic() < deadline:
        if select.select([watch], [], [], 0.02)[0]:
            break
    tell(**({"pid": init} if init else {"error": "systemd did not start"}))
    select.select([watch, 0], [], [])
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    leave_cgroups(groups)
    return 0


if __name__ == "__main__":
    sys.exit(main())
